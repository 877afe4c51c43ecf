// SPDX-License-Identifier: GPL-2.0

//! What a policy remembers of each task.
//!
//! C source: [`kernel/sched/bpf/task_storage.c`](srctree/kernel/sched/bpf/task_storage.c)

use super::{
    Asked,
    Process,
    Result,
    Task, //
};
use core::{
    marker::PhantomData,
    mem::{
        align_of,
        needs_drop,
        size_of,
        ManuallyDrop, //
    },
    ptr::{
        null_mut,
        NonNull, //
    },
};
use kernel::{
    bindings,
    error::from_err_ptr, //
};

/// State of tasks: a `V` of each task that the policy wants to remember.
///
/// It is what `BPF_MAP_TYPE_TASK_STORAGE` is to BPF programs: the state belongs to its task, is
/// freed with it, and is not given to another. There is no limit but memory.
///
/// `V` is shared, so what changes in it is an atomic, mostly. Nobody drops it, so it must not have
/// to be dropped, and it may have 32 KiB and an alignment of 8 bytes at the most: others do not
/// compile.
///
/// # Examples
///
/// ```ignore
/// # struct Learns { runs: TaskStorage<Average> }
/// # impl Learns {
/// # fn example(&self, cx: &RqLocked<'_>, task: Task<'_>, ran: Nanos) -> Option<()> {
/// let runs: &Average = self.runs.get_or_default(cx, task)?;
///
/// runs.add(ran);
/// # Some(())
/// # }
/// # }
/// ```
///
/// # Invariants
///
/// The pointer is a storage of `bpf_sched_task_storage_alloc()` for the size of `V`, which is ours,
/// and what it has of a task is a valid `V`.
pub struct TaskStorage<V: Default + Send + Sync + 'static> {
    map: NonNull<bindings::bpf_map>,
    _state: PhantomData<V>,
}

// SAFETY: A storage may be used and freed by another task than made it, and `V` is `Send`.
unsafe impl<V: Default + Send + Sync + 'static> Send for TaskStorage<V> {}
// SAFETY: A storage may be used on all CPUs at a time, and `V` is `Sync` and `Send`.
unsafe impl<V: Default + Send + Sync + 'static> Sync for TaskStorage<V> {}

impl<V: Default + Send + Sync + 'static> TaskStorage<V> {
    const CHECKED: () = {
        assert!(!needs_drop::<V>(), "state of tasks is not dropped");
        assert!(align_of::<V>() <= 8, "state of tasks is aligned to 8 bytes");
        assert!(
            size_of::<V>() > 0 && size_of::<V>() <= 32 << 10,
            "state of tasks has 1 byte to 32 KiB"
        );
    };

    /// A storage that has no state of any task.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(_cx: &Process<'_>) -> Result<Self> {
        let () = Self::CHECKED;

        // SAFETY: Any size may be asked for, and by the token this may sleep.
        let map = unsafe { bindings::bpf_sched_task_storage_alloc(size_of::<V>() as u32) };
        let map = from_err_ptr(map)?;

        // INVARIANT: It was allocated, and has nothing of any task.
        Ok(Self {
            // SAFETY: It is no error, and so it is a storage.
            map: unsafe { NonNull::new_unchecked(map) },
            _state: PhantomData,
        })
    }

    /// The state of `task`, if there is some.
    #[inline]
    pub fn get<'a>(&'a self, _cx: &'a Asked<'_>, task: Task<'a>) -> Option<&'a V> {
        // SAFETY: Nothing is added.
        unsafe { self.state(task, null_mut()) }
    }

    /// The state of `task`, the default of `V` if there was none.
    ///
    /// [`None`] if there is no memory for it. Then it may be there the next time: it is allocated
    /// without waiting.
    #[inline]
    pub fn get_or_default<'a>(&'a self, cx: &'a Asked<'_>, task: Task<'a>) -> Option<&'a V> {
        self.get(cx, task).or_else(|| {
            let mut init = ManuallyDrop::new(V::default());

            // SAFETY: `init` is a `V`, which is moved: it is neither used nor dropped here.
            unsafe { self.state(task, &raw mut *init) }
        })
    }

    /// # Safety
    ///
    /// `init` must be null or point to a `V` that may be moved out.
    #[inline]
    unsafe fn state<'a>(&'a self, task: Task<'a>, init: *mut V) -> Option<&'a V> {
        // SAFETY: The storage is valid and the task is too, it is locked, and interrupts are off,
        // by the type invariants; `init` is copied, which is a move by the safety requirement.
        let state = unsafe {
            bindings::bpf_sched_task_storage_get(self.map.as_ptr(), task.as_ptr(), init.cast())
        };

        // SAFETY: What there is of a task is a `V`, by the type invariant. It stays as long as the
        // task and the storage do, and nobody has it exclusively.
        unsafe { state.cast::<V>().as_ref() }
    }
}

impl<V: Default + Send + Sync + 'static> Drop for TaskStorage<V> {
    fn drop(&mut self) {
        // SAFETY: It is ours by the type invariant, and nobody has a reference to state in it any
        // more. A policy is dropped where code may sleep.
        unsafe { bindings::bpf_sched_task_storage_free(self.map.as_ptr()) };
    }
}
