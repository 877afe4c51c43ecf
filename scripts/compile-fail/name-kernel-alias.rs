// SPDX-License-Identifier: GPL-2.0

//! Names what the macros are made of by the name that it has elsewhere.

// expect: failed to resolve

include!("frame/asked.rs");

const MOST: i32 = ::kernel::ffi::c_int::MAX;
