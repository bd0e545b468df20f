//! Layers in Zstandard frames of Go's encoder, and recipes of them: what comes back is the layer, or an error.
//! Takes any bytes as a layer, or as a recipe with corrections and plain bytes; panics if something does not hold.

use std::io::Cursor;

use bundle_recompress::klauspost_zstd::{Form, FrameEncoder, FrameLevel, FrameSettings, ZstdVersion};
use bundle_recompress::{Encoder, Limits, Recipe, examine, recreate};

/// A recipe may write no more than this.
const LIMIT: u64 = 1 << 20;

/// The lengths of recipe and corrections, two bytes each, and these, and plain bytes.
fn packed(recipe: &[u8], corrections: &[u8], plain: &[u8]) -> Vec<u8> {
    let lengths = [recipe.len(), corrections.len()].map(|len| (len as u16).to_le_bytes());
    [&lengths[0], &lengths[1], recipe, corrections, plain].concat()
}

pub(crate) fn layer(bytes: &[u8]) {
    let (mut plain, mut corrections) = (Vec::new(), Vec::new());
    let recipe = examine(&mut Cursor::new(bytes), &mut plain, &mut corrections).unwrap();
    let Some(recipe) = recipe else { return };
    let recipe = Recipe::from_bytes(&recipe.to_bytes()).unwrap();
    let (mut again, limits) = (Vec::new(), Limits { compressed: bytes.len() as u64 });
    recreate(&recipe, &mut &plain[..], &mut &corrections[..], &mut again, limits).unwrap();
    assert!(again == bytes, "another layer comes back");
}

pub(crate) fn recipe(bytes: &[u8]) {
    let Some((&[a, b, c, d], rest)) = bytes.split_first_chunk::<4>() else { return };
    let lengths = [[a, b], [c, d]].map(|len| usize::from(u16::from_le_bytes(len)));
    let Some((recipe, rest)) = rest.split_at_checked(lengths[0]) else { return };
    let Some((mut corrections, mut plain)) = rest.split_at_checked(lengths[1]) else { return };
    let Ok(recipe) = Recipe::from_bytes(recipe) else { return };
    let (mut made, limits) = (Vec::new(), Limits { compressed: LIMIT });
    let written = recreate(&recipe, &mut plain, &mut corrections, &mut made, limits);
    assert!(made.len() as u64 <= LIMIT, "more than is allowed");
    assert!(written.ok().is_none_or(|written| written == made.len() as u64), "another length");
}

/// Frames of each level, and among them skippable ones, as zstd:chunked has them.
pub(crate) fn layers() -> Vec<Vec<u8>> {
    let text = include_bytes!("frames.rs");
    let frame = |level, form, plain: &[u8]| {
        let settings = FrameSettings::new(ZstdVersion::V1_17_8, level, form).unwrap();
        let (mut encoder, mut out) = (FrameEncoder::new(settings, plain.len() as u64), Vec::new());
        encoder.write(plain, &mut out);
        encoder.finish(&mut out);
        out
    };
    let skippable = |len: u32| {
        let head = [&[0x50, 0x2a, 0x4d, 0x18], &len.to_le_bytes()[..]].concat();
        [head, vec![7; len as usize]].concat()
    };
    let layer = |level| {
        let long = text.repeat(80);
        let frames = [&text[..512], &text[300..320], &text[..1500], &long]
            .map(|plain| frame(level, Form::Stream, plain));
        [frames.concat(), frame(level, Form::Whole, &long), skippable(400), skippable(64)].concat()
    };
    FrameLevel::ALL.map(layer).to_vec()
}

pub(crate) fn recipes() -> Vec<Vec<u8>> {
    let recipe_of = |layer: Vec<u8>| {
        let (mut plain, mut corrections) = (Vec::new(), Vec::new());
        let recipe = examine(&mut Cursor::new(&layer), &mut plain, &mut corrections).unwrap().unwrap();
        packed(&recipe.to_bytes(), &corrections, &plain)
    };
    layers().into_iter().map(recipe_of).collect()
}
