"""The node's disk as an update changes it: the slot that does not run, its identity, and the UKIs on the ESP.

`slots.Slots` is all that the agent needs. Each method is one step of an update, may be repeated, and leaves the disk
such that the loader's choice boots a complete version whenever the power goes. In order:

1. `clear()`: from here the loader can choose nothing but what runs now.
2. `resume_point(part)` and `write_usr(part, chunks, first=…)`: the data of the other slot, each chunk read back.
   `base()` lends the running slot's data for a delta.
3. `seal(release)`: the hash tree made from the slot, its root compared with the signed one; the signature partition.
4. `identify(release)`: the GPT partition UUIDs, by which the initrd finds a slot.
5. `install(release, chunks)`: the UKI, armed by its last write. From here the loader tries the new version.
   `base_uki()` lends the running UKI for a delta.
6. After a healthy boot: `bless()`. To go back by hand: `choose_other()`.

`layout()` and `entries()` tell what is there, and change nothing. What the loader does with a set of UKIs is `loader`,
a model of systemd-boot.

No step renames a file on the ESP: on FAT that is two directory writes, and a power cut between them leaves two names
for the same clusters, or none. A UKI is instead written with zeros where its first two bytes belong, and is armed by
writing those (`MZ`) in a single sector; disarmed likewise, before it is removed.
"""
