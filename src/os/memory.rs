//! Ends the program with a clear message if the system has no memory left, for example because of `ulimit
//! -v`.
#![allow(unsafe_code)] // only an allocator learns of a refused request before the program aborts

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;

use crate::exit::Exit;

const MESSAGE: &str = "sessiontut: the system gives this process too little memory (see ulimit -v)\n";

/// The number of bytes that must be free at the start. The program needs less, but the reserve protects the
/// stack and new threads. If they ran out of memory, a signal would end the program.
const NEEDED: usize = 16 * 1024 * 1024;

#[global_allocator]
static ALLOCATOR: OrExit = OrExit;

/// The system's allocator, except that a failed allocation ends the program.
struct OrExit;

// SAFETY: every call is passed on to the system's allocator. Never returning a null pointer is allowed.
unsafe impl GlobalAlloc for OrExit {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller guarantees what the system's allocator requires.
        or_exit(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        or_exit(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        or_exit(unsafe { System.realloc(block, layout, size) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

fn or_exit(block: *mut u8) -> *mut u8 {
    if block.is_null() {
        // SAFETY: the buffer is valid for its length, and both calls may be made at any time. Nothing here allocates.
        unsafe {
            libc::write(libc::STDERR_FILENO, MESSAGE.as_ptr().cast(), MESSAGE.len());
            libc::_exit(Exit::No as i32);
        }
    }
    block
}

/// The minimum size in bytes of a freed block that is returned to the system.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE_BLOCK: i32 = 128 * 1024;

/// Sets up the allocator, and ends the program if there is not enough memory.
pub(crate) fn require() {
    // By default, glibc raises this threshold to the size of the largest freed block, up to 32 MB. Large
    // replies would then leave gaps between smaller blocks, and the program would occupy twice the memory
    // that it uses.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the call changes a setting of the allocator; no other thread is running yet.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BLOCK);
    }
    // Without `black_box`, the compiler could remove the allocation.
    drop(black_box(Vec::<u8>::with_capacity(NEEDED)));
}
