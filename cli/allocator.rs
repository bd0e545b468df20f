//! The allocator of programs with musl: mimalloc for what is small, musl for what is large.
//! Takes sizes, gives memory. musl has one lock for all threads; mimalloc keeps large pieces that are given back, and
//! the buffers of transfers would stay resident many times over.

use std::alloc::{GlobalAlloc, Layout, System};

use mimalloc::MiMalloc;

/// From this size on, in bytes, memory comes from musl, which gives it back to the system at once.
const LARGE: usize = 64 << 10;

/// Chooses by size alone, so that memory goes back to where it came from.
pub(crate) struct BySize;

fn is_large(size: usize) -> bool {
    size >= LARGE
}

// SAFETY: each call is passed on with the caller's own promises, to the allocator that the layout's size chooses; a
// caller gives back memory with the layout that it asked for.
#[expect(unsafe_code, reason = "an allocator cannot be written without")]
unsafe impl GlobalAlloc for BySize {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match is_large(layout.size()) {
            true => unsafe { System.alloc(layout) },
            false => unsafe { MiMalloc.alloc(layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match is_large(layout.size()) {
            true => unsafe { System.alloc_zeroed(layout) },
            false => unsafe { MiMalloc.alloc_zeroed(layout) },
        }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        match is_large(layout.size()) {
            true => unsafe { System.dealloc(place, layout) },
            false => unsafe { MiMalloc.dealloc(place, layout) },
        }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        match (is_large(layout.size()), is_large(size)) {
            (true, true) => unsafe { System.realloc(place, layout, size) },
            (false, false) => unsafe { MiMalloc.realloc(place, layout, size) },
            // From one to the other. The caller promises that the new size is valid with the same alignment.
            (true, false) | (false, true) => unsafe {
                let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
                if !new.is_null() {
                    std::ptr::copy_nonoverlapping(place, new, layout.size().min(size));
                    self.dealloc(place, layout);
                }
                new
            },
        }
    }
}
