"""Whether a slot would start: its data and its hash tree, against the root hash that a UKI asks for."""

from __future__ import annotations

from bedplate.host.disks import Disks
from bedplate.model.reading import ReadAt
from bedplate.node.slots.rules import Slot
from bedplate.node.slots.verity import make_tree
from bedplate.wire.verity import identities_of, read_superblock


def not_whole(disks: Disks, slot: Slot, root_hash: str) -> str:
    """Why the slot does not hold what has this root hash; empty when it does. `MachineError` when it cannot be read.

    The tree is made anew of all the data, and the one on the disk compared with it: dm-verity reads both. The
    signature is not looked at; nobody on the node knows what it was.
    """
    if slot.identities != identities_of(root_hash):
        return "The slot has the identity of another version."
    with disks.partition(slot.data) as data, disks.partition(slot.tree) as tree:
        return _unlike(data, tree, root_hash)


def _unlike(data: ReadAt, tree: ReadAt, root_hash: str) -> str:
    head = read_superblock(tree)
    if not head or not 0 < head.data_bytes <= data.size:
        return "Its hash tree does not say what it is of."
    made = make_tree(data, head.data_bytes, salt=head.salt, identity=head.identity)
    if made.root_hash != root_hash:
        return f"The root of its data is {made.root_hash}."
    return "" if tree.read_at(0, len(made.image)) == made.image else "Its hash tree is not the one of its data."
