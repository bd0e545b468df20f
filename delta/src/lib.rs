//! Encodes the plain (decompressed) bytes of a layer as the difference to base layers, and decodes them bit for bit.
//!
//! Start at [`encode()`], [`decode()`] and [`BaseIndex`]. The crate knows nothing of bundles, images or registries:
//! it takes bytes with positional reads ([`ReadAt`]) and gives a stream of bytes. A layer is usually a tar, whose
//! members are matched with members of the bases by content, path, name and likeness; other bytes are one member. Who
//! knows other members, such as those of opened archives, gives them ([`BaseIndex::of_members`], [`encode_members`]):
//! the encoded form is the same.
//! Without bases the same form holds the layer compressed alone.
//!
//! ```
//! use bundle_delta::{BaseIndex, Limits, Options, ReadAt, WINDOWS, decode, encode};
//!
//! let base = b"the quick brown fox jumps over the lazy dog, and so on".to_vec();
//! let layer = b"the quick brown fox jumped over the lazy dog, and so on".to_vec();
//! let bases: [&dyn ReadAt; 1] = [&base];
//! let index = BaseIndex::of(&bases)?;
//! let mut encoded = Vec::new();
//! encode(&layer, &bases, &index, Options::default(), &mut encoded)?;
//!
//! let mut decoded = Vec::new();
//! let limits = Limits { size: layer.len() as u64, windows: WINDOWS };
//! decode(&mut encoded.as_slice(), &bases, limits, &mut decoded)?;
//! assert_eq!(decoded, layer);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Trust
//! Nothing of the encoded form is signed or has a checksum: the digest of the layer decides, and the caller compares
//! it. Whatever is decoded, at most the declared number of bytes comes out, bases are read only where they exist, and
//! memory stays within the declared windows and about 20 MiB.
//!
//! # The encoded form, version 1
//! A *number* is an unsigned LEB128 varint: seven bits a byte, the lowest first, the top bit of each byte but the last
//! set; at most ten bytes and below 2^64. An encoded layer is a head, groups, and an end. It ends by itself: bytes
//! after it belong to somebody else.
//!
//! ## Head
//! | field | size | |
//! |---|---|---|
//! | magic | 4 bytes | `BDLT` |
//! | version | 1 byte | 1; a reader refuses others |
//! | size | number | of the plain layer, in bytes; a reader refuses another one than it knows from elsewhere |
//! | windows | 4 bytes | for each stream the base-2 logarithm of its window in bytes, 10 to 27; for stream 1 also 128 plus S, 12 to 20: its parts are coded by the model below, of size S |
//! | bases | number | how many bases follow, at most 64 |
//! | per base: size | number | of the whole base in bytes; a reader refuses a base of another size |
//! | per base: reads | number | about how many bytes of the base are read: a hint |
//!
//! ## Groups
//! The byte 1 starts a group, the byte 0 is the end. A group has four parts, one for each stream, in the streams'
//! order; a part is a number, its length in bytes (at most 4 MiB), and so many bytes. The parts of one stream
//! together are zstd frames (RFC 8878) without a dictionary. Each part ends where a writer flushed: all operations of
//! a group and all the bytes that they use come from the parts of this group and from the window of earlier ones. A
//! frame may go on through all groups and need not be complete at the end. A frame that asks for a larger window
//! than the head gives is refused.
//!
//! | stream | holds |
//! |---|---|
//! | 0 | operations |
//! | 1 | differences to bytes of bases |
//! | 2 | new bytes |
//! | 3 | new bytes and differences of tar headers and padding: apart, for they are alike |
//!
//! ## Operations
//! An operation is one byte, whose low three bits are its kind and whose high five bits are its value V; at 31 a
//! number follows, and V is 31 plus this number. A reader starts at base 0, position 0.
//!
//! | kind | | does |
//! |---|---|---|
//! | 0 | copy | gives V + 1 bytes of the base from the position on, and moves the position after them |
//! | 1 | add | as copy, with V + 1 bytes of stream 1 added, byte by byte, modulo 256 |
//! | 2 | new | gives V + 1 bytes of stream 2; the position stays |
//! | 3 | new header | gives V + 1 bytes of stream 3; the position stays |
//! | 4 | add header | as add, with bytes of stream 3 |
//! | 5 | seek | moves the position by V as a zigzag number: V / 2 for an even V, -(V + 1) / 2 for an odd one |
//! | 6 | base | chooses base V, position 0 |
//! | 7 | reserved | refused |
//!
//! Refused are: an operation that gives more bytes than are left of the size; reads outside of a base; a position
//! below 0 or from 2^64 on; a base that does not exist, or none at all; more than two operations in a row within a group that give no
//! bytes; an operation that is cut off; parts with bytes that no operation uses; an end before the size is reached.
//! Operations and their lengths do not reach over groups, positions and bases do.
//!
//! ## Differences by the model
//! In place of zstd, a part of stream 1 can be an arithmetic code of bits with predicted probabilities. All numbers
//! are integers, `>>` of a signed one rounds down, and unsigned ones are modulo 2^32 where nothing else is said. The
//! state of the model goes on through all groups; the coder starts anew with each part. A group without add
//! operations has an empty part.
//!
//! **Coder.** It holds `low` = 0 and `high` = 2^32 - 1, and `value`, the first four bytes of the part, big-endian. For a
//! bit whose probability of 1 is `p` / 4096: `middle = low + ((high - low) >> 12) * p`; the bit is 1 if `value <=
//! middle`; a 1 sets `high = middle`, a 0 sets `low = middle + 1`. While the top bytes of `low` and `high` are equal all
//! three are shifted by eight bits: zeros come into `low`, ones into `high`, the next byte into `value`. A group must
//! read exactly the bytes of its part.
//!
//! **Bits of a byte.** The first bit says whether the difference is not zero (node 0). If so, its eight bits follow,
//! the highest first; the node of each is a 1 bit and then the bits before it (1 to 255).
//!
//! **Prediction.** Ten contexts, each a hash `h` (below), have a counter each. There are ten tables of 2^S counters for
//! node 0, and ten others for the other nodes. The counter of a context is, in its table, number `h` for node 0, and
//! otherwise `((h ^ (line * 0x9e3779b1)) & ~15 | within)`, both modulo 2^S, where `(line, within)` is `(0, node)` for nodes
//! below 16, `(node, 1)` below 32, `(node >> 1, node & 1 | 2)` below 64, `(node >> 2, node & 3 | 4)` below 128, and
//! `(node >> 3, node & 7 | 8)` from there on. A counter is a probability `c` in 1/2^22 and a count `n`, at first 2^21 and
//! 0. Its input is `x = stretch[c >> 10]`. `squash(y)` for `y` from -2047 to 2047 interpolates between 33 points at
//! multiples of 128: with `w = y & 127` and `i = (y >> 7) + 16` it is `(P[i] * (128 - w) + P[i + 1] * w + 64) >> 7`, `P` =
//! 1, 2, 3, 6, 10, 16, 27, 45, 73, 120, 194, 310, 488, 747, 1101, 1546, 2047, 2549, 2994, 3348, 3607, 3785, 3901, 3975,
//! 4022, 4050, 4068, 4079, 4085, 4089, 4092, 4093, 4094; `squash(-2048)` is 0. `stretch[v]` is the least `y` from -2047 on
//! with `squash(y) >= v`, and 2047 where there is none. A mixer is ten weights `w`, at first 18000; with `t` the sum of
//! `(x * w) >> 4`, `p` is `squash(t >> 12)`, `t >> 12` clamped to -2047 to 2047 and `p` to 1 to 4095. After the bit `b`, with `e =
//! (4096 b - p) * 6`, each weight becomes `w + ((x * e + 32768) >> 16)`, clamped to ±(2^19 - 1). Each counter becomes `c +
//! ((((g - c) >> 3) * r[n]) >> 10)` with `g` = 2^22 - 1 for a 1 and 0 for a 0 and `r[n]` = 2^14 / (2 n + 3) rounded down, at
//! most 4095; and `n` grows by one up to 255.
//!
//! **Contexts.** For a byte at a position of the base (modulo 2^32): `old` is the base's byte there; `ahead` is the base's
//! four bytes from there on, little-endian, zeros past its end; `d1`, `d2`, … are the differences before, the latest
//! first, `o1` and `n1`, `n2` the old and new bytes before (of this stream's operations only, all 0 at first); `last` is the
//! latest difference that is not zero and `gap` the number of zeros since; `since` is 4 at first. If `since` is 4 or
//! more, `A = ahead`, `R = ahead + position` and `k = 0`; otherwise A and R stay and `k = since`. `F` is the number of the
//! last k differences, `d1` in the low byte, times 0x2c1b3c6d, plus k. `g15` and `l15` are the smaller of 15 and `gap`, or
//! the length `l` of a repetition. The hash of `(v, c)` is `h = (v + c * 0x85ebca6b) * 0x9e3779b1`; `h = (h ^ h >> 15) *
//! 0x2c1b3c6d`; `h ^ h >> 13`. The contexts: `(g15 << 8 | last, k)`; `(d3 << 16 | d2 << 8 | d1, 1)`; `(d1 << 16 | o1 << 8 |
//! old, 2)`; `(n2 << 16 | n1 << 8 | old, 3)`; `(R, F)`; `(R >> 10, F ^ 5 << 28)`; `(A, F ^ 6 << 28)`; `(A >> 10, F ^ 7 <<
//! 28)`; `(g15 << 16 | d5 << 8 | d8, 8)`; `(E << 4 | l15, 9)` with `E` the expected difference. The mixer's number is `m * 16 +
//! D * 4 + L`: `m` is 0 for node 0 and one plus the number of bits before for the others; `D` is 0, 1, 2, 3 for gaps 0,
//! below 4, below 16, more; `L` is 0, 1, 2, 3 for l15 of 0, below 8, below 15, 15.
//!
//! **After a byte** with the difference `d`: differences so far are kept in a ring of 2^16, at first zeros; `E` is the
//! one at the place `q`, at first 0. If `l > 0` and `E = d`, `l` and `q` grow by one; otherwise `l = 0`. Then `d` goes into the
//! ring, and into d1; with `X` the six latest differences as a number (`d1` low), the slot is the top 16 bits of `X *
//! 0x9e3779b97f4a7c15` modulo 2^64; if `l = 0` and the slot's number is not 0, `q` is that number and `l = 1`; the slot's
//! number becomes the count of differences so far, modulo 2^32. Last, `since` becomes 1 if it was 4 or more and `d` is not zero, 4
//! if it was and `d` is zero, and grows by one otherwise.

mod cached;
mod decode;
mod encode;
mod format;
mod index;
mod members;
mod model;
mod read_at;
mod traits;
mod varint;

pub use decode::{Error as DecodeError, Head, HeadBase, Limits, WINDOWS, decode};
pub use encode::{Error as EncodeError, Level, Options, Summary, SummaryBase, encode, encode_members};
pub use index::BaseIndex;
pub use members::{Member, walk};
pub use read_at::{PlainFile, ReadAt};
pub use traits::{file_name, stem};
