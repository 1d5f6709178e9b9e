//! Room for a value that a lens writes, before it is known what block the value goes to.
//!
//! Shared values may be moved bit by bit, so a lens need not write where the value will live. Small
//! ones stand on the stack, others in memory of the process. Knows nothing of what stands in it, and
//! drops nothing.
#![allow(unsafe_code)] // raw memory

use crate::error::HeapFull;
use std::alloc::{Layout, alloc, dealloc};
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// Bytes that stand on the stack.
const SMALL: usize = 256;

#[repr(C, align(16))]
struct Small([MaybeUninit<u8>; SMALL]);

/// Memory for one value of a layout, not initialised.
pub(super) struct Room {
    small: Small,
    large: Option<NonNull<u8>>,
    layout: Layout,
}

impl Room {
    /// # Errors
    /// `HeapFull` if the process has no memory for a large value.
    pub(super) fn new(size: usize, align: usize) -> Result<Room, HeapFull> {
        let layout = Layout::from_size_align(size, align.max(1)).map_err(|_| HeapFull)?;
        let large = match size > SMALL || align > align_of::<Small>() {
            // SAFETY: the layout is not empty: a size of 0 is made 1 below.
            true => Some(NonNull::new(unsafe { alloc(at_least_one(layout)) }).ok_or(HeapFull)?),
            false => None,
        };
        let small = Small([MaybeUninit::uninit(); SMALL]);
        Ok(Room {
            small,
            large,
            layout,
        })
    }

    /// Where the value stands, as long as the room is neither moved nor dropped.
    pub(super) fn place(&mut self) -> *mut u8 {
        match self.large {
            Some(block) => block.as_ptr(),
            None => self.small.0.as_mut_ptr().cast(),
        }
    }

    /// Moves the value, bit by bit, to where it will live.
    ///
    /// # Safety
    /// The value was written, and `home` has room for it.
    pub(super) unsafe fn move_to(mut self, home: *mut u8) {
        // SAFETY: by the caller; a room is private, so nothing else lies in it.
        unsafe { home.copy_from_nonoverlapping(self.place(), self.layout.size()) };
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(block) = self.large {
            // SAFETY: allocated in `new` with this layout.
            unsafe { dealloc(block.as_ptr(), at_least_one(self.layout)) };
        }
    }
}

fn at_least_one(layout: Layout) -> Layout {
    match layout.size() {
        0 => Layout::from_size_align(1, layout.align()).unwrap_or(layout),
        _ => layout,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_large_and_strictly_aligned_values_have_room() {
        for (size, align) in [
            (0, 1),
            (0, 64),
            (8, 8),
            (SMALL, 16),
            (SMALL + 1, 1),
            (24, 64),
        ] {
            let mut room = Room::new(size, align).unwrap();
            assert_eq!(room.place().addr() % align, 0, "{size} {align}");
            let mut home = vec![0_u8; size];
            // SAFETY: `size` bytes are there and then initialised; `home` is as long.
            unsafe {
                room.place().write_bytes(7, size);
                room.move_to(home.as_mut_ptr());
            }
            assert_eq!(home, vec![7_u8; size]);
        }
    }
}
