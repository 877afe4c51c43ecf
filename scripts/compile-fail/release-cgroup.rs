// SPDX-License-Identifier: GPL-2.0

//! Releases a cgroup before the registration that takes it.

// expect: cannot move out of `cgroup` because it is borrowed

include!("frame/module.rs");

#[allow(dead_code)]
fn register() -> Result<Pin<KBox<Registration<Example>>>> {
    let cgroup = Cgroup::from_id(1)?;
    let registration = Registration::register(Options {
        cgroup: Some(&cgroup),
        shadow: false,
    });

    drop(cgroup);
    KBox::pin_init(registration, GFP_KERNEL)
}

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn slice(_: &RqLocked, _: &Entity, _: Delta) -> Option<Delta> {
        None
    }
}
