//! The component's linear memory, in which plain text and keys stand while a call runs: it is left out of
//! core dumps and of forked children, locked against swapping as far as the system allows, and wiped when the
//! call ends. wasmtime itself does none of this.
//!
//! A few wiped memories are kept for the next calls: to have one mapped, locked, touched for the first time and unmapped
//! again takes longer than all that a call does in it.

#![allow(unsafe_code, reason = "mapping memory")]

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::{mem, ptr};

use rustix::io::Errno;
use rustix::mm::{
    Advice, MapFlags, MlockFlags, ProtFlags, madvise, mlock_with, mmap_anonymous, munmap,
};
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

/// The size of a page of linear memory in bytes; the system's pages are as large or smaller.
const PAGE: usize = 64 * 1024;

/// The addresses reserved for a memory, in bytes: as many as the limit of a call by default. A larger memory moves.
const RESERVED: usize = 16 * 1024 * 1024;

/// How many memories are kept for the next calls: those of four calls that run side by side.
const KEPT: usize = 8;

/// The largest memory that is kept, in bytes. The system often locks no more than 8 MiB.
const LARGEST_KEPT: usize = 1024 * 1024;

/// Why a memory could not be made; wasmtime hands on only the text.
pub(super) const NO_MEMORY: &str = "the system gives no memory";

/// How the memories of an engine are protected, as [`super::Sandbox::config`] has it.
#[derive(Clone, Debug, Default)]
pub struct Protection(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// How many memories were made.
    made: AtomicUsize,
    /// Whether the system has refused to lock one.
    unlocked: AtomicBool,
    /// Wiped, and locked as far as they were ever used.
    kept: Mutex<Vec<Mapping>>,
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

    /// A mapping of at least so many bytes, all zero.
    fn mapping(&self, size: usize) -> rustix::io::Result<Mapping> {
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.pop_if(|mapping| size <= mapping.size) {
            Some(mapping) => Ok(mapping),
            None => Mapping::new(size.max(RESERVED)),
        }
    }

    /// Keeps a wiped mapping. One that isn't locked may have pages in the swap that were not wiped.
    fn keep(&self, mapping: Mapping, used: usize) {
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_locked = used <= mapping.locked;
        if is_locked && mapping.locked <= LARGEST_KEPT && kept.len() < KEPT {
            kept.push(mapping);
        }
    }
}

/// Makes the memories.
pub(super) struct Protected(Protection);

// SAFETY: the engine's code compares each address with the size of its memory, since it is compiled without guards
// (`moat_engine::config`), and memories may move. All of a mapping can be read and written, and is zero where no memory
// was, or where the last one was wiped.
unsafe impl MemoryCreator for Protected {
    fn new_memory(
        &self,
        _type: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved_size_in_bytes: Option<usize>,
        guard_size_in_bytes: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        if reserved_size_in_bytes.unwrap_or(0) + guard_size_in_bytes != 0 {
            return Err("the engine counts on guards around memories".to_owned());
        }
        let mapping = self.0.mapping(minimum).map_err(|_| NO_MEMORY.to_owned())?;
        let mut memory = Memory { mapping, size: 0, protection: self.0.clone() };
        memory.grow_to(minimum).map_err(|error| error.to_string())?;
        self.0.0.made.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(memory))
    }
}

/// A range of addresses.
#[derive(Debug)]
struct Mapping {
    base: *mut c_void,
    /// In bytes.
    size: usize,
    /// How many of its bytes, from the start, are locked where they are in memory.
    locked: usize,
}

impl Default for Mapping {
    /// No address at all.
    fn default() -> Self {
        Self { base: ptr::null_mut(), size: 0, locked: 0 }
    }
}

// SAFETY: the pointer is the mapping's own, which no thread's state is part of; that the bytes in it aren't raced for is
// wasmtime's affair.
unsafe impl Send for Mapping {}
// SAFETY: as above; by `&self` only the address and sizes are read.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(size: usize) -> rustix::io::Result<Self> {
        let size = size.checked_next_multiple_of(PAGE).ok_or(Errno::NOMEM)?;
        // SAFETY: a new mapping at an address of the system's choice touches no other memory.
        let base = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                size,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
        }?;
        let mapping = Self { base, size, locked: 0 };
        for advice in [Advice::LinuxDontDump, Advice::LinuxWipeOnFork] {
            // SAFETY: the range is the mapping just made; neither advice changes what this process reads.
            unsafe { madvise(base, size, advice) }?;
        }
        Ok(mapping)
    }

    /// Locks so many bytes, each page when it is first touched, as a memory is mostly never used.
    fn lock(&mut self, size: usize) -> rustix::io::Result<()> {
        if self.locked < size {
            // SAFETY: the range is the mapping's; locking changes no byte.
            unsafe { mlock_with(self.base, size, MlockFlags::ONFAULT) }?;
            self.locked = size;
        }
        Ok(())
    }

    /// Overwrites what is in memory of its first bytes. The rest is left alone: to write to a page that was never touched
    /// is to have it made first, and one that went to the swap stays there whatever is written.
    fn wipe(&mut self, size: usize) {
        // SAFETY: it asks for a number.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(PAGE);
        let mut resident = vec![0; size.div_ceil(page)];
        // SAFETY: the range is mapped, and there is a byte for each of its pages.
        let returned = unsafe { libc::mincore(self.base, size, resident.as_mut_ptr()) };
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

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nobody uses the mapping any more. It can only fail for a range that isn't mapped.
        let _ = unsafe { munmap(self.base, self.size) };
    }
}

/// The linear memory of an instance.
struct Memory {
    mapping: Mapping,
    /// In bytes.
    size: usize,
    protection: Protection,
}

// SAFETY: `as_ptr` is the start of a mapping of at least `byte_capacity` bytes, which can be read and written until the
// drop, and only `grow_to` changes it.
unsafe impl LinearMemory for Memory {
    fn byte_size(&self) -> usize {
        self.size
    }

    fn byte_capacity(&self) -> usize {
        self.mapping.size
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        if new_size > self.mapping.size {
            let larger = Mapping::new(new_size.max(self.mapping.size.saturating_mul(2)))?;
            // SAFETY: both have that many bytes, and they are two.
            unsafe {
                ptr::copy_nonoverlapping(
                    self.mapping.base.cast::<u8>(),
                    larger.base.cast(),
                    self.size,
                );
            }
            self.mapping.wipe(self.size);
            self.mapping = larger;
        }
        self.size = new_size;
        if self.mapping.lock(new_size).is_err()
            && !self.protection.0.unlocked.swap(true, Ordering::Relaxed)
        {
            tracing::info!(
                "the sandbox's memory can't be locked (see `ulimit -l`): secrets may reach the swap"
            );
        }
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.mapping.base.cast()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.mapping.wipe(self.size);
        self.protection.keep(mem::take(&mut self.mapping), self.size);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn memory(protection: &Protection, size: usize) -> Memory {
        let mapping = protection.mapping(size).unwrap();
        let mut memory = Memory { mapping, size: 0, protection: protection.clone() };
        memory.grow_to(size).unwrap();
        memory
    }

    fn bytes(memory: &mut Memory) -> &mut [u8] {
        // SAFETY: the memory's own bytes.
        unsafe { std::slice::from_raw_parts_mut(memory.as_ptr(), memory.size) }
    }

    #[test]
    fn is_wiped_and_kept_for_the_next() {
        let protection = Protection::default();
        let mut first = memory(&protection, 1 << 16);
        let address = first.as_ptr();
        bytes(&mut first).fill(0x5a);
        drop(first);
        let mut next = memory(&protection, 1 << 17);
        assert_eq!(next.as_ptr() == address, protection.locks());
        assert!(bytes(&mut next).iter().all(|byte| *byte == 0));
    }

    #[test]
    fn is_kept_only_within_bounds() {
        let protection = Protection::default();
        drop(memory(&protection, LARGEST_KEPT + PAGE));
        assert!(protection.0.kept.lock().unwrap().is_empty());
        let many: Vec<_> = (0..2 * KEPT).map(|_| memory(&protection, PAGE)).collect();
        drop(many);
        let kept = if protection.locks() { KEPT } else { 0 };
        assert_eq!(protection.0.kept.lock().unwrap().len(), kept);
    }

    #[test]
    fn what_is_not_locked_is_not_kept() {
        let protection = Protection::default();
        protection.keep(Mapping::new(PAGE).unwrap(), PAGE);
        assert!(protection.0.kept.lock().unwrap().is_empty());
    }

    #[test]
    fn grows_in_place_and_moves_beyond_what_is_reserved() {
        let mut memory = memory(&Protection::default(), PAGE);
        let before = memory.as_ptr();
        bytes(&mut memory).fill(0x5a);
        memory.grow_to(RESERVED).unwrap();
        assert_eq!((memory.as_ptr(), memory.byte_size()), (before, RESERVED));
        memory.grow_to(RESERVED + PAGE).unwrap();
        let (old, new) = bytes(&mut memory).split_at(PAGE);
        assert!(old.iter().all(|byte| *byte == 0x5a) && new.iter().all(|byte| *byte == 0));
    }

    /// As the kernel reports it: not dumped, not forked, locked as far as it is used.
    #[test]
    fn is_kept_to_itself() {
        let memory = memory(&Protection::default(), PAGE);
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let start = format!("{:x}-", memory.as_ptr() as usize);
        let mapping = smaps.lines().skip_while(|line| !line.starts_with(&start));
        let flags = mapping.clone().find(|line| line.starts_with("VmFlags:")).unwrap();
        let has = |flag: &str| flags.split(' ').any(|other| other == flag);
        assert!(has("dd") && has("wf"), "{flags}");
        assert_eq!(has("lo"), memory.protection.locks(), "{flags}");
        let size = mapping.clone().find(|line| line.starts_with("Size:")).unwrap();
        assert_eq!(size.ends_with(" 64 kB"), memory.protection.locks(), "{size}");
    }
}
