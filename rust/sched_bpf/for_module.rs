// SPDX-License-Identifier: GPL-2.0

//! What the expansions of `module!` and `fmt!` name in the crate of a policy, which does not have
//! `kernel`, where all of this is otherwise.
//!
//! A policy could name it too. So the same rule holds as for the rest of this crate, as far as safe
//! code goes: nothing that sleeps, allocates, prints or locks.

pub use super::loader::{
    InPlaceModule,
    Loaded, //
};
pub use kernel::{
    ffi,
    ModuleMetadata,
    ThisModule, //
};
pub use macros::{
    fmt,
    module, //
};

pub mod bindings {
    pub use kernel::bindings::{
        __this_module,
        kernel_param,
        kernel_param__bindgen_ty_1,
        module, //
    };
}

pub mod module {
    pub use kernel::module::this_module;
}

pub mod module_param {
    pub use kernel::module_param::{
        KernelParam,
        ModuleParamAccess,
        RangeParamAccess,
        StrParamAccess,
        PARAM_OPS_BOOL,
        PARAM_OPS_I16,
        PARAM_OPS_I32,
        PARAM_OPS_I64,
        PARAM_OPS_I8,
        PARAM_OPS_ISIZE,
        PARAM_OPS_RANGE_I32,
        PARAM_OPS_RANGE_I64,
        PARAM_OPS_RANGE_ISIZE,
        PARAM_OPS_RANGE_U32,
        PARAM_OPS_RANGE_U64,
        PARAM_OPS_RANGE_USIZE,
        PARAM_OPS_STR,
        PARAM_OPS_U16,
        PARAM_OPS_U32,
        PARAM_OPS_U64,
        PARAM_OPS_U8,
        PARAM_OPS_USIZE, //
    };
}

pub mod pin_init {
    pub use pin_init::{
        cast_pin_init,
        raw_try_init,
        PinInit, //
    };
}

pub mod str {
    pub use kernel::str::{
        as_char_ptr_in_const_context,
        CStr, //
    };
}

pub mod types {
    pub use kernel::types::Opaque;
}
