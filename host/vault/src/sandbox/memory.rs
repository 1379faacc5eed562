//! The component's linear memory, in which plain text and keys stand while a call runs: it is left out of
//! core dumps and of forked children, locked against swapping as far as the system allows, and wiped before
//! it is given back. wasmtime itself does none of this.

#![allow(unsafe_code, reason = "mapping memory")]

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::mm::{
    Advice, MapFlags, MlockFlags, MprotectFlags, ProtFlags, madvise, mlock_with, mmap_anonymous,
    mprotect, munmap,
};
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

/// The size of a page of linear memory in bytes; the system's pages are as large or smaller.
const PAGE: usize = 64 * 1024;

/// How the memories of an engine are protected, as [`super::Sandbox::config`] has it.
#[derive(Clone, Debug, Default)]
pub struct Protection(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// How many memories were made.
    made: AtomicUsize,
    /// Whether the system has refused to lock one.
    unlocked: AtomicBool,
}

impl Protection {
    /// Makes memories for an engine.
    pub(super) fn creator(&self) -> Protected {
        Protected(self.clone())
    }

    /// Whether every memory so far could be locked.
    pub(super) fn locks(&self) -> bool {
        !self.0.unlocked.load(Ordering::Relaxed)
    }

    /// How many memories were made so far.
    pub(super) fn made(&self) -> usize {
        self.0.made.load(Ordering::Relaxed)
    }
}

/// Makes the memories.
pub(super) struct Protected(Protection);

// SAFETY: a `Memory` has its whole reservation and guard mapped from creation to drop and never moves; only
// the first `accessible` bytes can be touched, and they begin as zeros, being fresh anonymous pages.
unsafe impl MemoryCreator for Protected {
    fn new_memory(
        &self,
        _type: MemoryType,
        minimum: usize,
        maximum: Option<usize>,
        reserved_size_in_bytes: Option<usize>,
        guard_size_in_bytes: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        // Where code is compiled without a reservation, a memory may not move all the same: `grow_to` can't.
        let capacity = reserved_size_in_bytes.unwrap_or(0).max(maximum.unwrap_or(0)).max(minimum);
        let mapped = capacity
            .checked_next_multiple_of(PAGE)
            .and_then(|size| size.checked_add(guard_size_in_bytes))
            .ok_or("the memory is larger than the address space")?;
        let mut memory = Memory::reserve(mapped, capacity, self.0.clone())
            .map_err(|error| format!("reserving memory: {error}"))?;
        memory.grow_to(minimum).map_err(|error| error.to_string())?;
        self.0.0.made.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(memory))
    }
}

struct Memory {
    base: *mut c_void,
    /// In bytes, with the guard.
    mapped: usize,
    capacity: usize,
    accessible: usize,
    protection: Protection,
}

// SAFETY: the pointer is the memory's own mapping, which no thread's state is part of; that the bytes in it
// aren't raced for is wasmtime's affair.
unsafe impl Send for Memory {}
// SAFETY: as above; by `&self` only the address and sizes are read.
unsafe impl Sync for Memory {}

impl Memory {
    fn reserve(mapped: usize, capacity: usize, protection: Protection) -> rustix::io::Result<Self> {
        // SAFETY: a new mapping at an address of the system's choice touches no other memory.
        let base = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                mapped,
                ProtFlags::empty(),
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
        }?;
        let memory = Self { base, mapped, capacity, accessible: 0, protection };
        for advice in [Advice::LinuxDontDump, Advice::LinuxWipeOnFork] {
            // SAFETY: the range is the mapping just made; neither advice changes what this process reads.
            unsafe { madvise(base, mapped, advice) }?;
        }
        Ok(memory)
    }
}

// SAFETY: `as_ptr` is the start of a mapping of at least `byte_capacity` bytes plus the guard, of which the
// first `byte_size` can be read and written until the drop.
unsafe impl LinearMemory for Memory {
    fn byte_size(&self) -> usize {
        self.accessible
    }

    fn byte_capacity(&self) -> usize {
        self.capacity
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        if new_size > self.capacity {
            return Err(wasmtime::format_err!("the memory can't grow beyond its reservation"));
        }
        if new_size == 0 {
            return Ok(());
        }
        // SAFETY: the range lies within the mapping, whose pages belong to nobody else.
        unsafe { mprotect(self.base, new_size, MprotectFlags::READ | MprotectFlags::WRITE) }?;
        self.accessible = new_size;
        // Pages are locked when they are first touched, as a memory is mostly never used.
        // SAFETY: as above; locking changes no byte.
        if unsafe { mlock_with(self.base, new_size, MlockFlags::ONFAULT) }.is_err()
            && !self.protection.0.unlocked.swap(true, Ordering::Relaxed)
        {
            tracing::info!(
                "the sandbox's memory can't be locked (see `ulimit -l`): secrets may reach the swap"
            );
        }
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.base.cast()
    }
}

impl Memory {
    /// Overwrites what is in memory. The rest is left alone: to write to a page that was never touched is to
    /// have it made first, and one that went to the swap stays there whatever is written.
    fn wipe(&mut self) {
        // SAFETY: it asks for a number.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(PAGE);
        let mut resident = vec![0; self.accessible.div_ceil(page)];
        // SAFETY: the range is mapped, and there is a byte for each of its pages.
        let returned = unsafe { libc::mincore(self.base, self.accessible, resident.as_mut_ptr()) };
        if returned != 0 {
            resident.fill(1);
        }
        for (number, _) in resident.iter().enumerate().filter(|(_, state)| **state & 1 != 0) {
            // SAFETY: a page of the mapping, which nobody else uses. Its address went to system calls, so the
            // compiler can't know that nobody reads it afterwards.
            unsafe { ptr::write_bytes(self.base.cast::<u8>().add(number * page), 0, page) }
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.wipe();
        // SAFETY: the instance that used the mapping is gone. It can only fail for a range that isn't mapped.
        let _ = unsafe { munmap(self.base, self.mapped) };
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn memory(size: usize) -> Memory {
        let mut memory = Memory::reserve(1 << 20, 1 << 19, Protection::default()).unwrap();
        memory.grow_to(size).unwrap();
        memory
    }

    #[test]
    fn is_wiped() {
        let mut memory = memory(1 << 16);
        // SAFETY: the memory's own bytes.
        unsafe { ptr::write_bytes(memory.as_ptr(), 0x5a, 1 << 16) };
        memory.wipe();
        // SAFETY: as above.
        let bytes = unsafe { std::slice::from_raw_parts(memory.as_ptr(), 1 << 16) };
        assert!(bytes.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn grows_in_place_up_to_its_capacity() {
        let mut memory = memory(1 << 16);
        let before = memory.as_ptr();
        memory.grow_to(1 << 19).unwrap();
        assert_eq!((memory.as_ptr(), memory.byte_size()), (before, 1 << 19));
        assert!(memory.grow_to((1 << 19) + 1).is_err());
    }

    /// As the kernel reports it: not dumped, not forked, locked, and no more of it than is accessible.
    #[test]
    fn is_kept_to_itself() {
        let memory = memory(1 << 16);
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let start = format!("{:x}-", memory.as_ptr() as usize);
        let mapping = smaps.lines().skip_while(|line| !line.starts_with(&start));
        let flags = mapping.clone().find(|line| line.starts_with("VmFlags:")).unwrap();
        let has = |flag: &str| flags.split(' ').any(|other| other == flag);
        assert!(has("dd") && has("wf"), "{flags}");
        assert_eq!(has("lo"), memory.protection.locks(), "{flags}");
        let size = mapping.clone().find(|line| line.starts_with("Size:")).unwrap();
        assert!(size.ends_with(" 64 kB"), "{size}");
    }
}
