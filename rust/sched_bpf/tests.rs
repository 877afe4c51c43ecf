// SPDX-License-Identifier: GPL-2.0

//! Tests of what needs no question: run at boot by KUnit.

use kernel::prelude::kunit_tests;

#[kunit_tests(rust_sched_bpf)]
mod kunit {
    use super::super::{
        context::Line,
        error::code::*,
        sync::atomic::{
            Atomic,
            Relaxed, //
        },
        Answers,
        Average,
        Counter,
        Entity,
        Flag,
        Flags,
        Instant,
        LocalModule,
        Mailbox,
        Migrate,
        Nanos,
        PerCpu,
        PiLocked,
        Place,
        Policy,
        Process,
        Registration,
        Result,
        RqLocked,
        SchedPolicy,
        Task,
        TaskStorage,
        Tick,
        VirtualDelta,
        VirtualTime,
        WakeFlags,
        Wakeup, //
    };
    use core::{
        ffi::CStr,
        ptr, //
    };
    use kernel::{
        bindings,
        cpu::CpuId,
        current,
        ffi::{
            c_int,
            c_void, //
        },
        fmt,
        prelude::{
            fmt,
            vtable, //
        },
        str::CStrExt as _,
        types::Opaque,
        ModuleMetadata,
        ThisModule, //
    };

    fn process() -> Process<'static> {
        // SAFETY: Tests run in process context, and are a part of the kernel.
        unsafe { Process::assume(c"kunit", &LocalModule::THIS_MODULE) }
    }

    /// Calls `f` with the task that runs, as a question about it is asked: with the lock of its rq
    /// held and interrupts off. A failed assertion prints, so that belongs outside.
    fn question<F, R>(f: F) -> Result<R>
    where
        F: FnOnce(*mut bindings::task_struct) -> R,
    {
        struct Call<F, R> {
            f: Option<F>,
            result: Option<R>,
        }

        /// # Safety
        ///
        /// `arg` must point to a `Call<F, R>` that nobody else uses.
        unsafe extern "C" fn call<F, R>(arg: *mut c_void)
        where
            F: FnOnce(*mut bindings::task_struct) -> R,
        {
            let current = ptr::from_ref(&**current!())
                .cast::<bindings::task_struct>()
                .cast_mut();
            // SAFETY: By the safety requirement.
            let call = unsafe { &mut *arg.cast::<Call<F, R>>() };

            call.result = call.f.take().map(|f| f(current));
        }

        let mut arg = Call {
            f: Some(f),
            result: None,
        };

        // SAFETY: `call` gets this pointer, and is over when this returns.
        unsafe { bindings::bpf_sched_test_question(Some(call::<F, R>), (&raw mut arg).cast()) };
        arg.result.ok_or(EINVAL)
    }

    /// Answers one hook only.
    struct WakeupOnly(Wakeup);

    #[vtable]
    impl Policy for WakeupOnly {
        const NAME: &'static CStr = c"wakeup_only";

        fn check_preempt_wakeup(
            &self,
            _: &RqLocked<'_>,
            _: Task<'_>,
            _: Task<'_>,
            _: WakeFlags,
        ) -> Wakeup {
            self.0
        }
    }

    /// Answers the one hook whose answer is no verdict.
    struct SliceOnly(Option<Nanos>);

    #[vtable]
    impl Policy for SliceOnly {
        const NAME: &'static CStr = c"slice_only";

        fn slice(&self, _: &RqLocked<'_>, _: Entity<'_>, _: Nanos) -> Option<Nanos> {
            self.0
        }
    }

    /// Answers all hooks, from what it is asked.
    struct Views;

    #[vtable]
    impl Policy for Views {
        const NAME: &'static CStr = c"fifteen_letters";

        fn check_preempt_wakeup(
            &self,
            cx: &RqLocked<'_>,
            curr: Task<'_>,
            p: Task<'_>,
            flags: WakeFlags,
        ) -> Wakeup {
            if !flags.is_sync()
                && curr.pid() == p.pid()
                && curr.entity(cx).task().is_some_and(|t| t.tgid() == p.tgid())
            {
                Wakeup::Preempt
            } else {
                Wakeup::NoPreempt
            }
        }

        fn wakeup_preempt_entity(
            &self,
            cx: &RqLocked<'_>,
            curr: Entity<'_>,
            wakee: Entity<'_>,
            flags: WakeFlags,
        ) -> Wakeup {
            if flags.is_fork() {
                Wakeup::PreemptNow
            } else if cx.policy_id() == 7 && cx.cgroup_id() == 8 && curr.weight() == wakee.weight()
            {
                Wakeup::NoPreempt
            } else {
                Wakeup::NoOpinion
            }
        }

        fn check_preempt_tick(&self, _: &RqLocked<'_>, _: Entity<'_>, ran: Nanos) -> Tick {
            if ran < Nanos::from_millis(1) {
                Tick::Keep
            } else {
                Tick::Resched
            }
        }

        fn slice(&self, _: &RqLocked<'_>, se: Entity<'_>, stock: Nanos) -> Option<Nanos> {
            se.task().map(|_| stock - Nanos::from_millis(1))
        }

        fn select_cpu(
            &self,
            cx: &PiLocked<'_>,
            p: Task<'_>,
            prev: CpuId,
            flags: WakeFlags,
            stock: CpuId,
        ) -> Option<CpuId> {
            if cx.policy_id() != 7 || !p.may_run_on(stock) || flags.is_fork() {
                None
            } else if flags.is_sync() {
                Some(prev)
            } else {
                Some(stock)
            }
        }

        fn can_migrate(&self, _: &RqLocked<'_>, p: Task<'_>, dst: CpuId, hot: bool) -> Migrate {
            if dst.as_u32() == p.cpu().as_u32() {
                Migrate::NoOpinion
            } else if hot {
                Migrate::Stay
            } else {
                Migrate::Migrate
            }
        }
    }

    /// Answers nothing.
    struct Silent;

    #[vtable]
    impl Policy for Silent {
        const NAME: &'static CStr = c"silent";
    }

    fn answers<T: Policy>(flags: Flags, policy: T) -> Result<Answers> {
        Answers::new(&process(), flags, policy)
    }

    fn table(answers: &Answers) -> &bindings::bpf_sched_ops {
        // SAFETY: The table is valid as long as the answers are.
        unsafe { &*answers.ops() }
    }

    fn this(answers: &Answers) -> bindings::bpf_sched_policy {
        bindings::bpf_sched_policy {
            id: 7,
            cgroup_id: 8,
            ops: answers.ops(),
        }
    }

    #[test]
    fn verdicts_are_those_of_c() {
        assert_eq!(c_int::from(Wakeup::default()), 0);
        assert_eq!(
            c_int::from(Wakeup::NoPreempt),
            bindings::bpf_sched_verdict_BPF_SCHED_NO_PREEMPT
        );
        assert_eq!(
            c_int::from(Wakeup::Preempt),
            bindings::bpf_sched_verdict_BPF_SCHED_PREEMPT
        );
        assert_eq!(
            c_int::from(Wakeup::PreemptNow),
            bindings::bpf_sched_verdict_BPF_SCHED_PREEMPT_NOW
        );
        assert_eq!(c_int::from(Tick::default()), 0);
        assert_eq!(
            c_int::from(Tick::Keep),
            bindings::bpf_sched_verdict_BPF_SCHED_KEEP
        );
        assert_eq!(
            c_int::from(Tick::Resched),
            bindings::bpf_sched_verdict_BPF_SCHED_RESCHED
        );
        assert_eq!(c_int::from(Migrate::default()), 0);
        assert_eq!(
            c_int::from(Migrate::Stay),
            bindings::bpf_sched_verdict_BPF_SCHED_STAY
        );
        assert_eq!(
            c_int::from(Migrate::Migrate),
            bindings::bpf_sched_verdict_BPF_SCHED_MIGRATE
        );
    }

    #[test]
    fn absent_methods_leave_null_slots() -> Result {
        let answers = answers(Flags::default(), WakeupOnly(Wakeup::Preempt))?;
        let ops = table(&answers);

        assert!(ops.cfs_check_preempt_wakeup.is_some());
        assert!(ops.cfs_wakeup_preempt_entity.is_none());
        assert!(ops.cfs_check_preempt_tick.is_none());
        assert!(ops.cfs_slice.is_none());
        assert!(ops.cfs_select_cpu.is_none());
        assert!(ops.cfs_can_migrate.is_none());
        Ok(())
    }

    #[test]
    fn name_and_flags_reach_the_table() -> Result {
        let answers = answers(Flag::Shadow.into(), Views)?;
        let ops = table(&answers);

        // SAFETY: The name ends with a zero, as the name of a policy is shorter.
        let name = unsafe { CStr::from_char_ptr(ops.name.as_ptr()) };
        assert!(name == c"fifteen_letters");
        assert_eq!(ops.flags, 1);
        assert!(Flags::shadow(false) == Flags::default());
        assert!(Flags::shadow(true) == Flag::Shadow.into());
        Ok(())
    }

    #[test]
    fn callbacks_answer_from_their_own_policy() -> Result {
        for verdict in [
            Wakeup::NoOpinion,
            Wakeup::NoPreempt,
            Wakeup::Preempt,
            Wakeup::PreemptNow,
        ] {
            let answers = answers(Flags::default(), WakeupOnly(verdict))?;
            let callback = table(&answers).cfs_check_preempt_wakeup.ok_or(EINVAL)?;
            let this = this(&answers);

            // SAFETY: This is a question, and `this` leads to the table of the callback.
            let answer = question(|p| unsafe { callback(p, p, 0, &this) })?;
            assert_eq!(answer, c_int::from(verdict));
        }
        Ok(())
    }

    #[test]
    fn callbacks_get_views_of_their_arguments() -> Result {
        let answers = answers(Flags::default(), Views)?;
        let ops = table(&answers);
        let this = this(&answers);

        let wakeup = ops.cfs_check_preempt_wakeup.ok_or(EINVAL)?;
        let entity = ops.cfs_wakeup_preempt_entity.ok_or(EINVAL)?;
        let tick = ops.cfs_check_preempt_tick.ok_or(EINVAL)?;
        let slice = ops.cfs_slice.ok_or(EINVAL)?;
        let select = ops.cfs_select_cpu.ok_or(EINVAL)?;
        let migrate = ops.cfs_can_migrate.ok_or(EINVAL)?;
        let sync = bindings::bpf_sched_wake_flags_BPF_SCHED_WAKE_SYNC.into();
        let fork = bindings::bpf_sched_wake_flags_BPF_SCHED_WAKE_FORK.into();

        let cpus = u64::from(kernel::cpu::nr_cpu_ids());

        let got = question(|p| {
            // SAFETY: This is a question about `p`, whose entity this is, the numbers are those of
            // CPUs, and `this` leads to the table of the callbacks.
            unsafe {
                let se = &raw mut (*p).se;
                let cpu = u64::from(Task::from_raw(p).cpu().as_u32());
                let other = (cpu + 1) % cpus;

                [
                    wakeup(p, p, 0, &this),
                    wakeup(p, p, sync, &this),
                    entity(se, se, 0, &this),
                    entity(se, se, fork, &this),
                    tick(se, 999_999, &this),
                    tick(se, 1_000_000, &this),
                    slice(se, 3_000_000, &this),
                    select(p, other, 0, cpu, &this) - cpu as c_int,
                    select(p, other, sync, cpu, &this) - other as c_int,
                    select(p, other, fork, cpu, &this),
                    migrate(p, cpu, cpu, 1, &this),
                    migrate(p, cpu, other, 1, &this),
                    migrate(p, cpu, other, 0, &this),
                ]
            }
        })?;
        // With one CPU there is no other to move to.
        let moves = match cpus {
            1 => [Migrate::NoOpinion, Migrate::NoOpinion],
            _ => [Migrate::Stay, Migrate::Migrate],
        };
        let [hot, cold] = moves.map(c_int::from);
        let expected = [
            Wakeup::Preempt.into(),
            Wakeup::NoPreempt.into(),
            Wakeup::NoPreempt.into(),
            Wakeup::PreemptNow.into(),
            Tick::Keep.into(),
            Tick::Resched.into(),
            2_000_000,
            bindings::bpf_sched_verdict_BPF_SCHED_CPU_0,
            bindings::bpf_sched_verdict_BPF_SCHED_CPU_0,
            0,
            Migrate::NoOpinion.into(),
            hot,
            cold,
        ];
        assert_eq!(got, expected);
        Ok(())
    }

    #[test]
    fn slices_fit_into_an_int() -> Result {
        for (slice, expected) in [
            (None, 0),
            // The smallest request, not the lack of an opinion.
            (Some(Nanos::ZERO), 1),
            (Some(Nanos::new(1)), 1),
            (Some(Nanos::from_millis(3)), 3_000_000),
            (Some(Nanos::new(c_int::MAX as u64)), c_int::MAX),
            (Some(Nanos::new(c_int::MAX as u64 + 1)), c_int::MAX),
            (Some(Nanos::new(u64::from(u32::MAX))), c_int::MAX),
            (Some(Nanos::new(1 << 32)), c_int::MAX),
            (Some(Nanos::new(u64::MAX)), c_int::MAX),
        ] {
            let answers = answers(Flags::default(), SliceOnly(slice))?;
            let callback = table(&answers).cfs_slice.ok_or(EINVAL)?;
            let this = this(&answers);

            // SAFETY: This is a question about `p`, whose entity this is, and `this` leads to the
            // table of the callback.
            let answer = question(|p| unsafe { callback(&raw mut (*p).se, 0, &this) })?;
            assert_eq!(answer, expected);
        }
        Ok(())
    }

    #[test]
    fn wake_flags_are_those_of_c() {
        let none = WakeFlags::new(0);
        let fork = WakeFlags::new(bindings::bpf_sched_wake_flags_BPF_SCHED_WAKE_FORK.into());
        let sync = WakeFlags::new(bindings::bpf_sched_wake_flags_BPF_SCHED_WAKE_SYNC.into());
        let migrated =
            WakeFlags::new(bindings::bpf_sched_wake_flags_BPF_SCHED_WAKE_MIGRATED.into());

        assert!(!none.is_fork() && !none.is_sync() && !none.is_migrated());
        assert!(fork.is_fork() && !fork.is_sync() && !fork.is_migrated());
        assert!(!sync.is_fork() && sync.is_sync() && !sync.is_migrated());
        assert!(!migrated.is_fork() && !migrated.is_sync() && migrated.is_migrated());
        // Others may be set.
        assert!(WakeFlags::new(u64::MAX).is_sync());
        assert!(!WakeFlags::new((1 << 63) | 0x08).is_sync());
    }

    #[test]
    fn views_show_the_task() -> Result {
        let answers = answers(Flags::default(), Views)?;
        let this = this(&answers);
        let (pid, nr_cpu_ids) = (current!().pid(), kernel::cpu::nr_cpu_ids());

        let (comm, seen) = question(|p| {
            // SAFETY: This is a question about `p`, whose entity this is.
            let (cx, task) =
                unsafe { (RqLocked::assume(&this, &raw mut (*p).se), Task::from_raw(p)) };
            let se = task.entity(&cx);

            (
                task.comm(),
                [
                    task.pid() == pid,
                    task.nice() == 0,
                    task.sched_policy() == SchedPolicy::Normal,
                    task.may_run_on(task.cpu()),
                    task.cpu().as_u32() < nr_cpu_ids,
                    task.nr_cpus_allowed() >= 1,
                    task.start_time() < cx.now(),
                    se.slice() > Nanos::ZERO,
                    se.exec_time() >= se.exec_time_since_pick(),
                    se.task().map(Task::pid) == Some(pid),
                    se.nr_runnable(&cx) >= 1,
                    se.eligible(&cx) == (se.lag(&cx) >= VirtualDelta::ZERO),
                    // Each task is below the root cgroup, whose id is 1, and none below one that
                    // is not.
                    se.is_in_id(1),
                    !se.is_in_id(u64::MAX),
                    !cx.is_idle(task.cpu()),
                    cx.nr_runnable(task.cpu()) >= 1,
                    (1..=1024).contains(&cx.capacity(task.cpu())),
                    cx.node(task.cpu()) < 1024,
                    cx.share_cache(task.cpu(), task.cpu()),
                ],
            )
        })?;
        assert!(comm.starts_with(b"kunit"));
        assert_eq!(seen, [true; 19]);
        assert!(CpuId::from_u32(nr_cpu_ids).is_none());
        Ok(())
    }

    #[test]
    fn a_policy_without_methods_is_refused() -> Result {
        let answers = answers(Flags::default(), Silent)?;
        let registration = Registration::boxed(&process(), Place::system(), answers);

        assert!(registration.is_err_and(|error| error == EINVAL));
        Ok(())
    }

    #[test]
    fn a_policy_is_attached_replaced_and_detached() -> Result {
        let cx = process();
        let first = answers(Flag::Shadow.into(), WakeupOnly(Wakeup::Preempt))?;
        let mut registration = Registration::boxed(&cx, Place::system().first(), first)?;

        registration
            .as_mut()
            .replace(&cx, answers(Flag::Shadow.into(), Views)?)?;
        // What is refused leaves the one that is attached.
        let refused = registration
            .as_mut()
            .replace(&cx, answers(Flags::default(), Silent)?);
        assert!(refused.is_err_and(|error| error == EINVAL));
        registration.as_mut().replace(
            &cx,
            answers(Flag::Shadow.into(), WakeupOnly(Wakeup::NoPreempt))?,
        )?;
        assert!(registration.is_attached(&cx));
        Ok(())
    }

    #[test]
    fn a_policy_is_owned_by_the_module_that_is_loaded() -> Result {
        struct Module(Opaque<bindings::module>);

        // SAFETY: Nobody looks at more than its name, which does not change.
        unsafe impl Sync for Module {}

        // None that is loaded; its name, which can be shown with the policy, is empty.
        static MODULE: Module = Module(Opaque::zeroed());
        // SAFETY: That is the module meant.
        static OTHER: ThisModule = unsafe { ThisModule::from_ptr(MODULE.0.get()) };

        // SAFETY: Tests run in process context, and what they reach is a part of the kernel.
        let cx = unsafe { Process::assume(c"kunit", &OTHER) };
        // Of a type of this crate, which is no module.
        let answers = Answers::new(&cx, Flag::Shadow.into(), Views)?;
        let registration = Registration::boxed(&cx, Place::system(), answers)?;

        assert!(registration.owner() == OTHER.as_ptr());
        Ok(())
    }

    /// Says whether it is formatted with interrupts off, in which it could not allocate.
    struct Formatted<'a>(&'a Atomic<bool>, &'a Process<'a>);

    impl fmt::Display for Formatted<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            // SAFETY: It may be called anywhere.
            self.0.store(unsafe { bindings::irqs_disabled() }, Relaxed);
            // And that is what would sleep.
            TaskStorage::<Average>::new(self.1).map_err(|_| fmt::Error)?;
            f.write_str("x")
        }
    }

    #[test]
    fn messages_are_formatted_where_code_may_sleep() {
        let cx = process();
        let irqs_off = Atomic::new(true);

        cx.error(fmt!("{}\n", Formatted(&irqs_off, &cx)));
        assert!(!irqs_off.load(Relaxed));
    }

    #[test]
    fn lines_end_where_a_character_does() {
        let mut line = Line::new();

        for _ in 0..127 {
            assert!(fmt::Write::write_str(&mut line, "é").is_ok());
        }
        assert!(line.as_str().len() == 254);
        assert!(fmt::Write::write_str(&mut line, "é").is_err());
        assert!(line.as_str().len() == 254);
    }

    #[test]
    fn instants_neither_overflow_nor_go_below_zero() {
        let early = Instant::new(10);
        let last = Instant::new(u64::MAX);

        assert_eq!(last - early, Nanos::new(u64::MAX - 10));
        assert_eq!(early - last, Nanos::ZERO);
        assert_eq!(early + Nanos::new(5), Instant::new(15));
        assert_eq!(last + Nanos::new(1), last);
    }

    #[test]
    fn nanos_neither_overflow_nor_go_below_zero() {
        let max = Nanos::new(u64::MAX);

        assert!(Nanos::from_millis(u64::MAX) == max);
        assert!(Nanos::from_micros(u64::MAX) == max);
        assert!(Nanos::ZERO - max == Nanos::ZERO);
        assert!(max - Nanos::ZERO == max);
    }

    #[test]
    fn virtual_time_wraps() {
        let late = VirtualTime::new(u64::MAX);
        let later = VirtualTime::new(9);

        assert_eq!(later.since(late).as_nanos(), 10);
        assert!(late.since(later) < VirtualDelta::ZERO);
        assert!(late.since(late) == VirtualDelta::ZERO);
    }

    #[test]
    fn averages_follow_their_samples() {
        let average = Average::default();
        let max = Nanos::new(u64::MAX);

        assert!(average.get().is_none());
        assert_eq!(average.add(Nanos::new(800)), Nanos::new(800));
        assert_eq!(average.add(Nanos::new(1600)), Nanos::new(900));
        assert_eq!(average.get(), Some(Nanos::new(900)));
        for _ in 0..400 {
            assert!(average.add(max) < max);
        }
        assert!(average.add(max) > Nanos::new(u64::MAX / 8 * 7));

        let zero = Average::default();
        assert_eq!(zero.add(Nanos::ZERO), Nanos::ZERO);
        assert_eq!(zero.get(), Some(Nanos::ZERO));
    }

    /// What is kept of a task; not all zeroes.
    struct Seen(Atomic<u64>);

    impl Default for Seen {
        fn default() -> Self {
            Self(Atomic::new(7))
        }
    }

    #[test]
    fn a_task_has_the_state_that_it_was_given() -> Result {
        let (one, other) = (
            TaskStorage::<Seen>::new(&process())?,
            TaskStorage::<Seen>::new(&process())?,
        );
        let answers = answers(Flags::default(), Views)?;
        let this = this(&answers);

        // In three questions, between which it stays.
        let ask = |f: &dyn Fn(&RqLocked<'_>, Task<'_>) -> Option<u64>| {
            question(|p| {
                // SAFETY: This is a question about `p`, whose entity this is.
                let (cx, task) =
                    unsafe { (RqLocked::assume(&this, &raw mut (*p).se), Task::from_raw(p)) };

                f(&cx, task)
            })
        };
        let look = |cx: &RqLocked<'_>, task: Task<'_>| Some(one.get(cx, task)?.0.load(Relaxed));
        let count = |cx: &RqLocked<'_>, task: Task<'_>| {
            let seen = one.get_or_default(cx, task)?;

            seen.0.add(1, Relaxed);
            Some(seen.0.load(Relaxed))
        };

        assert_eq!(ask(&look)?, None);
        // Looking does not add it.
        assert_eq!(ask(&look)?, None);
        assert_eq!(ask(&count)?, Some(8));
        assert_eq!(ask(&count)?, Some(9));
        assert_eq!(ask(&look)?, Some(9));
        assert_eq!(
            ask(&|cx, task| Some(other.get(cx, task)?.0.load(Relaxed)))?,
            None
        );
        drop(one);
        assert_eq!(
            ask(&|cx, task| Some(other.get_or_default(cx, task)?.0.load(Relaxed)))?,
            Some(7)
        );
        Ok(())
    }

    #[test]
    fn messages_are_taken_in_order() -> Result {
        let mailbox = Mailbox::<3>::new();
        let answers = answers(Flags::default(), Views)?;
        let this = this(&answers);
        let post = |message| {
            question(|p| {
                // SAFETY: This is a question about `p`, whose entity this is.
                let cx = unsafe { RqLocked::assume(&this, &raw mut (*p).se) };

                // There is no registration, so this does nothing.
                cx.schedule_work();
                mailbox.post(&cx, message)
            })
        };
        let take = || mailbox.take(&process());

        assert!(take().is_none());
        for round in 0..10 {
            assert!(post(round)? && post(round + 1)? && post(round + 2)?);
            assert!(!post(99)?);
            assert_eq!(take(), Some(round));
            assert!(post(round + 3)?);
            assert!(!post(99)?);
            for n in 1..=3 {
                assert_eq!(take(), Some(round + n));
            }
            assert!(take().is_none());
        }
        Ok(())
    }

    #[test]
    fn counters_add_up() -> Result {
        let counter = Counter::new(&process())?;
        let seen = PerCpu::<Seen>::new(&process())?;
        let answers = answers(Flags::default(), Views)?;
        let this = this(&answers);

        for n in [1, 2, 40] {
            question(|p| {
                // SAFETY: This is a question about `p`, whose entity this is.
                let cx = unsafe { RqLocked::assume(&this, &raw mut (*p).se) };

                counter.add(&cx, n);
                seen.get(&cx).0.store(n, Relaxed);
            })?;
        }
        assert_eq!(counter.sum(), 43);
        // One CPU at the least has the last number, and the others what they began with.
        assert!(seen.iter().any(|seen| seen.0.load(Relaxed) == 40));
        assert!(seen
            .iter()
            .all(|seen| [1, 2, 7, 40].contains(&seen.0.load(Relaxed))));
        Ok(())
    }
}
