// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of the functions that C calls, of registrations, and of state kept of tasks.

use kernel::prelude::*;

#[kunit_tests(rust_sched_bpf)]
mod kunit {
    use crate::{
        policy::Ops,
        Cgroup,
        Entity,
        Migrate,
        Options,
        Policy,
        Registration,
        RqLocked,
        TaskStorage,
        Tick,
        WakeFlag,
        WakeFlags,
        Wakeup, //
    };
    use core::ptr::null_mut;
    use kernel::{
        bindings,
        cpu::CpuId,
        current,
        ffi::{
            c_int,
            c_void, //
        },
        interrupt::LocalInterruptDisabled,
        prelude::*,
        sync::{
            atomic::{
                Atomic,
                Relaxed, //
            },
            rcu, //
        },
        task::Task,
        time::Delta, //
    };

    /// Implements all hooks. The results follow from the arguments.
    struct All;

    #[vtable]
    impl Policy for All {
        const NAME: &'static CStr = c"fifteen_letters";

        fn check_preempt_wakeup(
            cx: &RqLocked,
            curr: &Task,
            wakee: &Task,
            flags: WakeFlags,
        ) -> Wakeup {
            if flags.contains(WakeFlag::Sync) || cx.entity(curr).task() != Some(wakee) {
                Wakeup::NoPreempt
            } else if flags.contains(WakeFlag::Fork) {
                Wakeup::PreemptNow
            } else {
                Wakeup::Preempt
            }
        }

        fn wakeup_preempt_entity(_: &RqLocked, curr: &Entity, wakee: &Entity) -> Wakeup {
            if curr.on_rq() && curr.deadline() == wakee.deadline() {
                Wakeup::Preempt
            } else {
                Wakeup::Pass
            }
        }

        fn slice(_: &RqLocked, _: &Entity, default: Delta) -> Option<Delta> {
            (!default.is_zero()).then(|| default - Delta::from_millis(1))
        }

        fn check_preempt_tick(_: &RqLocked, _: &Entity, ran: Delta) -> Tick {
            if ran.is_zero() {
                Tick::Pass
            } else if ran < Delta::from_millis(1) {
                Tick::Extend
            } else {
                Tick::End
            }
        }

        fn select_cpu(
            _: &LocalInterruptDisabled,
            _: &Task,
            prev: CpuId,
            flags: WakeFlags,
            _: CpuId,
        ) -> Option<CpuId> {
            (!flags.contains(WakeFlag::Migrated)).then_some(prev)
        }

        fn can_migrate(_: &RqLocked, _: &Task, src: CpuId, dst: CpuId, hot: bool) -> Migrate {
            if hot {
                Migrate::Stay
            } else if src == dst {
                Migrate::Pass
            } else {
                Migrate::Migrate
            }
        }
    }

    /// Implements one hook.
    struct SliceOnly;

    #[vtable]
    impl Policy for SliceOnly {
        const NAME: &'static CStr = c"slice_only";

        fn slice(_: &RqLocked, _: &Entity, _: Delta) -> Option<Delta> {
            None
        }
    }

    /// Implements no hook.
    struct NoHook;

    #[vtable]
    impl Policy for NoHook {
        const NAME: &'static CStr = c"no_hook";
    }

    /// Calls `f` as C calls a hook: with the current task, whose `pi_lock` and rq are locked.
    /// A failed assertion prints, so it has to be outside of `f`.
    fn locked<R>(f: impl FnOnce(*mut bindings::task_struct) -> R) -> Option<R> {
        type Call<'a> = &'a mut dyn FnMut();

        /// # Safety
        ///
        /// `arg` must point to a `Call` that nothing else uses.
        unsafe extern "C" fn call(arg: *mut c_void) {
            // SAFETY: By the safety requirement.
            unsafe { (*arg.cast::<Call<'_>>())() };
        }

        let (mut f, mut result) = (Some(f), None);
        let mut call_f = || result = f.take().map(|f| f(Task::current_raw()));
        let mut arg: Call<'_> = &mut call_f;

        // SAFETY: `call` gets a pointer to a `Call`, and has returned when this returns.
        unsafe { bindings::bpf_sched_test_hook(Some(call), (&raw mut arg).cast()) };
        result
    }

    /// Calls a hook of [`All`].
    macro_rules! call {
        ($hook:ident, |$task:ident| $($arg:expr),+) => {
            locked(|$task| {
                let hook = Ops::<All>::OPS.$hook?;

                // SAFETY: The arguments are those of the current task, which `locked()` has locked,
                // and CPU 0.
                Some(unsafe { hook($($arg,)+ null_mut()) })
            })
            .flatten()
        };
    }

    #[test]
    fn missing_hooks_are_null() {
        let ops = Ops::<SliceOnly>::OPS;

        assert!(ops.cfs_slice.is_some());
        assert!(ops.cfs_check_preempt_wakeup.is_none());
        assert!(ops.cfs_wakeup_preempt_entity.is_none());
        assert!(ops.cfs_check_preempt_tick.is_none());
        assert!(ops.cfs_select_cpu.is_none());
        assert!(ops.cfs_can_migrate.is_none());
        assert_eq!(ops.flags, 0);
        assert!(ops.name.starts_with(b"slice_only\0"));
        assert_eq!(&Ops::<All>::OPS.name, b"fifteen_letters\0");
    }

    #[test]
    fn wakeup_results_are_those_of_c() {
        let wakeup = |flags: u64| call!(cfs_check_preempt_wakeup, |p| p, p, flags);
        let entity = call!(
            cfs_wakeup_preempt_entity,
            |p| &raw mut (*p).se,
            &raw mut (*p).se
        );

        assert_eq!(wakeup(WakeFlag::Sync as u64), Some(-1));
        assert_eq!(wakeup(WakeFlag::Fork as u64), Some(2));
        assert_eq!(wakeup(WakeFlag::Ttwu as u64), Some(1));
        // Not named, and not in a `u32`.
        assert_eq!(wakeup(1 << 31 | 1 << 32), Some(1));
        assert_eq!(entity, Some(1));
    }

    #[test]
    fn slices_are_nanoseconds() {
        let slice = |ns: u64| call!(cfs_slice, |p| &raw mut (*p).se, ns);

        assert_eq!(slice(3_000_000), Some(2_000_000));
        // None.
        assert_eq!(slice(0), Some(0));
        // Negative: as small as possible, but not none.
        assert_eq!(slice(1), Some(1));
        // More than C can express.
        assert_eq!(slice(1 << 40), Some(c_int::MAX));
    }

    #[test]
    fn tick_results_are_those_of_c() {
        let tick = |ns: u64| call!(cfs_check_preempt_tick, |p| &raw mut (*p).se, ns as usize);

        assert_eq!(tick(0), Some(0));
        assert_eq!(tick(1), Some(-1));
        assert_eq!(tick(1_000_000), Some(1));
    }

    #[test]
    fn placement_results_are_those_of_c() {
        let select = |flags: u64| call!(cfs_select_cpu, |p| p, 0, flags, 0);

        assert_eq!(select(0), Some(1));
        assert_eq!(select(WakeFlag::Migrated as u64), Some(0));
        assert_eq!(call!(cfs_can_migrate, |p| p, 0, 0, 1), Some(-1));
        assert_eq!(call!(cfs_can_migrate, |p| p, 0, 0, 0), Some(0));
    }

    fn register<T: Policy>(opts: Options<'_>) -> Result<Pin<KBox<Registration<T>>>> {
        KBox::pin_init(Registration::register(opts), GFP_KERNEL)
    }

    #[test]
    fn registrations() -> Result {
        let root = Cgroup::from_id(1)?;
        let scoped = register::<SliceOnly>(Options {
            cgroup: Some(&root),
            shadow: true,
        })?;
        // A policy can be registered more than once.
        let system = register::<SliceOnly>(Options::default())?;

        drop((scoped, system));
        assert!(root.contains(current!()));
        assert_eq!(register::<NoHook>(Options::default()).err(), Some(EINVAL));
        assert_eq!(Cgroup::from_id(u64::MAX).err(), Some(ENOENT));
        Ok(())
    }

    #[derive(Zeroable)]
    struct State {
        number: Atomic<u64>,
        _room: [u64; 127],
    }

    static STATES: TaskStorage<State> = TaskStorage::new();

    #[test]
    fn state_of_tasks() -> Result {
        let task = current!();
        let number = |rcu: &rcu::Guard| Some(STATES.get(task, rcu)?.number.load(Relaxed));

        assert!(STATES.get_or_zeroed(task, &rcu::read_lock()).is_none());
        for _ in 0..2 {
            let _states = STATES.alloc()?;

            assert_eq!(STATES.alloc().err(), Some(EBUSY));
            assert_eq!(number(&rcu::read_lock()), None);
            if let Some(state) = STATES.get_or_zeroed(task, &rcu::read_lock()) {
                assert_eq!(state.number.xchg(7, Relaxed), 0);
            }
            assert_eq!(number(&rcu::read_lock()), Some(7));
            // A hook sees what process context wrote.
            assert_eq!(locked(|_| number(&rcu::read_lock())), Some(Some(7)));
        }
        assert_eq!(number(&rcu::read_lock()), None);
        Ok(())
    }
}
