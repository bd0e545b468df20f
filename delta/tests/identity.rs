//! Promises over any input: what is encoded decodes to the same bytes, and what is decoded never panics and never
//! exceeds what was declared. Layers are made up from pieces, so that they are alike as real ones are.

use bundle_delta::{
    BaseIndex, DecodeError, EncodeError, Level, Limits, Options, ReadAt, WINDOWS, decode, encode,
};
use proptest::prelude::*;

fn encoded(layer: &[u8], bases: &[Vec<u8>], level: Level) -> Vec<u8> {
    let bases: Vec<&dyn ReadAt> = bases.iter().map(|base| base as &dyn ReadAt).collect();
    let index = BaseIndex::of(&bases).unwrap();
    let mut encoded = Vec::new();
    let summary = encode(&layer, &bases, &index, Options { level }, &mut encoded).unwrap();
    assert_eq!(summary.encoded, encoded.len() as u64);
    assert_eq!(summary.plain, layer.len() as u64);
    encoded
}

/// Decodes, and checks that no more than `size` bytes come out.
fn decoded(mut encoded: &[u8], bases: &[Vec<u8>], size: u64) -> Result<Vec<u8>, DecodeError> {
    let bases: Vec<&dyn ReadAt> = bases.iter().map(|base| base as &dyn ReadAt).collect();
    let mut out = Vec::new();
    let result = decode(&mut encoded, &bases, Limits { size, windows: WINDOWS }, &mut out);
    assert!(out.len() as u64 <= size);
    let written = result?;
    assert_eq!(written, size);
    assert_eq!(out.len() as u64, size);
    Ok(out)
}

/// A member that is made up: a path, a content by its number, and where and how that is changed.
type Piece = (u8, u8, Option<(u16, u8)>);

/// A tar of members.
fn tar_of(members: &[Piece]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, number, change) in members {
        let mut state = u32::from(*number) + 1;
        let mut content: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 28) as u8
        })
        .take(usize::from(*number) * 97)
        .collect();
        if let Some((at, byte)) = change {
            let at = usize::from(*at) % (content.len() + 1);
            content.splice(at..at, [*byte, 1, 2]);
        }
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mtime(u64::from(*number));
        tar.append_data(&mut header, format!("usr/lib/lib{}.so.{path}", path % 5), content.as_slice())
            .unwrap();
    }
    tar.into_inner().unwrap()
}

fn members() -> impl Strategy<Value = Vec<Piece>> {
    prop::collection::vec((any::<u8>(), 0u8..40, any::<Option<(u16, u8)>>()), 0..12)
}

fn few_bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![prop::collection::vec(any::<u8>(), 0..most), prop::collection::vec(0u8..3, 0..most)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_with_any_bases_come_back(
        layer in few_bytes(3000),
        bases in prop::collection::vec(few_bytes(3000), 0..3),
        level in prop_oneof![Just(Level::Default), Just(Level::Smallest)],
    ) {
        let encoded = encoded(&layer, &bases, level);
        prop_assert_eq!(decoded(&encoded, &bases, layer.len() as u64).unwrap(), layer);
    }

    #[test]
    fn any_tar_comes_back_from_any_tars(
        layer in members(),
        bases in prop::collection::vec(members(), 0..3),
        cut in 0usize..2000,
    ) {
        let mut layer = tar_of(&layer);
        layer.truncate(layer.len().saturating_sub(cut));
        let bases: Vec<_> = bases.iter().map(|members| tar_of(members)).collect();
        let encoded = encoded(&layer, &bases, Level::Smallest);
        prop_assert_eq!(decoded(&encoded, &bases, layer.len() as u64).unwrap(), layer);
    }

    #[test]
    fn any_bytes_decode_to_an_error_or_to_the_declared_size(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let bases = [vec![5; 1000]];
        let _ = decoded(&bytes, &bases, 1000);
        for differences in [0x10, 0x8c] {
            let mut headed = b"BDLT\x01\xe8\x07\x10".to_vec();
            headed.extend([differences, 0x10, 0x10, 1, 0xe8, 7, 0]);
            headed.extend(&bytes);
            let _ = decoded(&headed, &bases, 1000);
        }
    }

    #[test]
    fn any_operations_stay_within_bases_and_size(
        ops in prop::collection::vec((0u8..8, 0u64..80, any::<bool>()), 0..60),
        size in 0u64..3000,
    ) {
        let mut raw = Vec::new();
        for (kind, value, huge) in ops {
            match value {
                _ if huge && value > 70 => raw.extend([kind | 31 << 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
                0..31 => raw.push(kind | (value as u8) << 3),
                _ => raw.extend([kind | 31 << 3, value as u8]),
            }
        }
        let bases = [vec![5; 1000], vec![7; 10]];
        for differences in [20, 0x80 | 12] {
            let bytes = crafted_with(size, &bases, &raw, &[1; 2000], differences);
            let _ = decoded(&bytes, &bases, size);
        }
    }

    #[test]
    fn a_changed_byte_gives_an_error_or_the_declared_size(
        at in any::<prop::sample::Index>(),
        by in 1u8..,
        level in prop_oneof![Just(Level::Default), Just(Level::Smallest)],
    ) {
        let bases = [tar_of(&[(1, 20, None), (2, 30, None), (3, 39, None)])];
        let layer = tar_of(&[(1, 20, None), (2, 30, Some((500, 9))), (4, 39, Some((9, 9))), (5, 12, None)]);
        let mut bytes = encoded(&layer, &bases, level);
        let at = at.index(bytes.len());
        bytes[at] = bytes[at].wrapping_add(by);
        let _ = decoded(&bytes, &bases, layer.len() as u64);
    }
}

/// An encoded layer with one group of these raw operations, and the same raw bytes for all other streams.
fn crafted(size: u64, bases: &[Vec<u8>], ops: &[u8], bytes: &[u8]) -> Vec<u8> {
    crafted_with(size, bases, ops, bytes, 20)
}

/// The same with this window of differences.
fn crafted_with(size: u64, bases: &[Vec<u8>], ops: &[u8], bytes: &[u8], differences: u8) -> Vec<u8> {
    let mut encoded = b"BDLT\x01".to_vec();
    number(&mut encoded, size);
    encoded.extend([20, differences, 20, 20]);
    encoded.push(bases.len() as u8);
    for base in bases {
        number(&mut encoded, base.len() as u64);
        encoded.push(0);
    }
    encoded.push(1);
    for raw in [ops, bytes, bytes, bytes] {
        let part = zstd::bulk::compress(raw, 1).unwrap();
        number(&mut encoded, part.len() as u64);
        encoded.extend(part);
    }
    encoded.push(0);
    encoded
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[test]
fn every_truncation_is_an_error() {
    let bases = [tar_of(&[(1, 20, None), (2, 30, None)])];
    let layer = tar_of(&[(1, 20, Some((9, 9))), (2, 30, Some((500, 9)))]);
    for level in [Level::Default, Level::Smallest] {
        let bytes = encoded(&layer, &bases, level);
        for length in 0..bytes.len() {
            let error = decoded(&bytes[..length], &bases, layer.len() as u64).unwrap_err();
            assert!(matches!(error, DecodeError::Encoded(_)), "{length}: {error}");
        }
    }
}

#[test]
fn what_an_encoded_layer_declares_is_compared_with_what_is_known() {
    let base = tar_of(&[(1, 20, None)]);
    let layer = tar_of(&[(1, 20, Some((9, 9)))]);
    let size = layer.len() as u64;
    let bytes = encoded(&layer, std::slice::from_ref(&base), Level::Default);
    let short = vec![base[..base.len() - 1].to_vec()];
    assert!(matches!(decoded(&bytes, &short, size), Err(DecodeError::BaseSize { base: 0, .. })));
    assert!(matches!(decoded(&bytes, &[], size), Err(DecodeError::Bases { declared: 1, given: 0 })));
    assert!(matches!(decoded(&bytes, std::slice::from_ref(&base), size + 1), Err(DecodeError::Size { .. })));
    let bases: [&dyn ReadAt; 1] = [&base];
    let tight = Limits { size, windows: 1000 };
    let result = decode(&mut bytes.as_slice(), &bases, tight, &mut Vec::new());
    assert!(matches!(result, Err(DecodeError::Windows { allowed: 1000, .. })));
    let mut newer = bytes.clone();
    newer[4] = 2;
    assert!(matches!(decoded(&newer, std::slice::from_ref(&base), size), Err(DecodeError::Version(2))));
}

#[test]
fn a_group_must_use_all_its_bytes_and_operations_must_give_some() {
    let bases = [vec![5; 100]];
    // Ten new bytes.
    let fits = crafted(10, &bases, &[2 | 9 << 3], &[1; 10]);
    assert!(matches!(decoded(&fits, &bases, 10), Err(DecodeError::Damaged(_))), "two streams are not used");
    let uses = crafted(30, &bases, &[2 | 9 << 3, 1 | 9 << 3, 3 | 9 << 3], &[1; 10]);
    assert_eq!(decoded(&uses, &bases, 30).unwrap(), [[1; 10], [6; 10], [1; 10]].concat());
    let idle = crafted(1, &bases, &[6, 6, 6, 0], &[]);
    assert!(matches!(decoded(&idle, &bases, 1), Err(DecodeError::Damaged(_))));
    let bomb = crafted(30, &bases, &[31 << 3, 200, 1], &[]);
    assert!(matches!(decoded(&bomb, &bases, 30), Err(DecodeError::Damaged(_))));
    let outside = crafted(30, &bases, &[5 | 31 << 3, 0x81, 0x01, 29 << 3], &[]);
    assert!(matches!(decoded(&outside, &bases, 30), Err(DecodeError::Damaged(_))));
}

#[test]
fn an_index_of_other_bases_is_refused() {
    let base = vec![1u8; 600];
    let longer = vec![1u8; 601];
    let index = BaseIndex::of(&[&base]).unwrap();
    for bases in [&[&longer as &dyn ReadAt][..], &[]] {
        let result = encode(&base, bases, &index, Options::default(), &mut Vec::new());
        assert!(matches!(result, Err(EncodeError::Index)));
    }
}

#[test]
fn what_follows_an_encoded_layer_is_left_alone() {
    let layer = vec![3; 5000];
    let mut bytes = encoded(&layer, &[], Level::Default);
    bytes.extend(b"next");
    let mut rest = bytes.as_slice();
    let limits = Limits { size: 5000, windows: WINDOWS };
    decode(&mut rest, &[], limits, &mut Vec::new()).unwrap();
    assert_eq!(rest, b"next");
}

#[test]
fn a_file_larger_than_all_windows_comes_back_and_costs_its_changes() {
    let mut state = 1u64;
    let base: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(21 << 20)
    .collect();
    let mut layer = base.clone();
    layer.splice(3 << 20..3 << 20, [7; 999]);
    layer.drain(10 << 20..(10 << 20) + 70_000);
    for at in (0..layer.len()).step_by(100_003) {
        layer[at] ^= 0x55;
    }
    let bases = [base];
    for level in [Level::Default, Level::Smallest] {
        let bytes = encoded(&layer, &bases, level);
        assert!(bytes.len() < 20_000, "{}", bytes.len());
        assert!(decoded(&bytes, &bases, layer.len() as u64).unwrap() == layer);
    }
}
