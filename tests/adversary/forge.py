# SPDX-License-Identifier: MIT
"""What a proxy can make of the blocks that it carries: each takes the blocks of one message, four or more that a writer has
sealed, and what was seen before, and changes them so that some are not what a writer sealed for their places."""
import dataclasses

from wire import VERIFIER_PARTS, Block, part_of, with_part


def _flip(data, bit):
    return data[:bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1:]


def ciphertext_flipped(blocks, _seen):
    """a bit of the ciphertext"""
    blocks[1].data = _flip(blocks[1].data, len(blocks[1].data) * 4)


def last_ciphertext_flipped(blocks, _seen):
    """the last bit of the last block"""
    blocks[-1].data = _flip(blocks[-1].data, len(blocks[-1].data) * 8 - 1)


def _part_flipped(name):
    def forge(blocks, _seen):
        at, size = VERIFIER_PARTS[name]
        blocks[1].verifier = _flip(blocks[1].verifier, (at + size) * 8 - 8)

    forge.__name__ = f"{name}_flipped"
    forge.__doc__ = f"a bit of the verifier: its {name}"
    return forge


def swapped_data(blocks, _seen):
    """the ciphertexts of two blocks, swapped"""
    blocks[0].data, blocks[1].data = blocks[1].data, blocks[0].data


def swapped_verifiers(blocks, _seen):
    """the verifiers of two blocks, swapped"""
    blocks[0].verifier, blocks[1].verifier = blocks[1].verifier, blocks[0].verifier


def swapped_blocks(blocks, _seen):
    """two blocks with all that belongs to them, swapped"""
    blocks[0], blocks[1] = blocks[1], blocks[0]


def other_leaf(blocks, _seen):
    """a verifier that says it is its neighbour's"""
    leaf, leaves = part_of(blocks[1].verifier, "leaf"), part_of(blocks[1].verifier, "leaves")
    blocks[1].verifier = with_part(blocks[1].verifier, "leaf", leaf ^ 1 if leaf ^ 1 < leaves else leaf - 1)


def path_turned(blocks, _seen):
    """the hashes of a verifier in another order"""
    at, size = VERIFIER_PARTS["path"]
    old = blocks[1].verifier
    blocks[1].verifier = old[:at] + old[at + size:] + old[at:at + size]


def next_generation(blocks, _seen):
    """a generation of keys that nobody has"""
    blocks[1].verifier = with_part(blocks[1].verifier, "generation", part_of(blocks[1].verifier, "generation") + 1)


def kind_of_zeros(blocks, _seen):
    """a verifier of data that says it is one of zeros"""
    blocks[1].verifier = with_part(blocks[1].verifier, "kind", 2)


def lower_version(blocks, _seen):
    """a lower version than the block was sealed as"""
    blocks[1].version -= 1


def later_seal(blocks, _seen):
    """a verifier that says the block was sealed later"""
    version = part_of(blocks[1].verifier, "version") + 1
    blocks[1].verifier = with_part(blocks[1].verifier, "version", version)
    blocks[1].version = max(version, blocks[1].version)


def cut_by_byte(blocks, _seen):
    """a verifier without its last byte"""
    blocks[1].verifier = blocks[1].verifier[:-1]


def cut_by_hash(blocks, _seen):
    """a verifier without its last hash"""
    blocks[1].verifier = blocks[1].verifier[:-VERIFIER_PARTS["path"][1]]


def cut_to_byte(blocks, _seen):
    """one byte of a verifier"""
    blocks[1].verifier = blocks[1].verifier[:1]


def longer(blocks, _seen):
    """a verifier with something behind it, as long as can be"""
    blocks[1].verifier = blocks[1].verifier.ljust(384, b"\0")


def dropped(blocks, _seen):
    """a block without its verifier"""
    blocks[1].verifier = b""


def zeros_unproven(blocks, _seen):
    """zeros for data, without a verifier"""
    blocks[1] = Block(blocks[1].version, 1)


def zeros_with_data_verifier(blocks, _seen):
    """zeros for data, with the verifier of the data"""
    blocks[1] = Block(blocks[1].version, 1, blocks[1].verifier)


def other_zeros(blocks, seen):
    """zeros for data, with the verifier of zeros elsewhere"""
    blocks[1] = dataclasses.replace(seen.zeros, version=max(seen.zeros.version, blocks[1].version))


def zeros_verifier_for_data(blocks, seen):
    """data, with the verifier of zeros"""
    blocks[1].verifier = seen.zeros.verifier


def bytes_of_zeros(blocks, _seen):
    """bytes that are zeros, with the verifier of the data"""
    blocks[1].data = bytes(len(blocks[1].data))


def other_number(blocks, seen):
    """the block of another number, in its version"""
    blocks[1] = dataclasses.replace(seen.elsewhere)


def other_volume(blocks, seen):
    """the same block of another volume, which has other keys, in its version"""
    blocks[1] = dataclasses.replace(seen.other_volume)


def other_size(blocks, _seen):
    """half of a block"""
    for block in blocks:
        block.data = block.data[:len(block.data) // 2]


FORGERIES = [
    ciphertext_flipped, last_ciphertext_flipped, *[_part_flipped(name) for name in VERIFIER_PARTS], swapped_data, swapped_verifiers,
    swapped_blocks, other_leaf, path_turned, next_generation, kind_of_zeros, lower_version, later_seal, cut_by_byte, cut_by_hash,
    cut_to_byte, longer, dropped, zeros_unproven, zeros_with_data_verifier, other_zeros, zeros_verifier_for_data, bytes_of_zeros,
    other_number, other_volume, other_size,
]
