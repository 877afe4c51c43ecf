// SPDX-License-Identifier: GPL-2.0

//! Errors.

use core::convert::Infallible;
use kernel::{
    alloc::AllocError,
    ffi::c_int, //
};

/// An error that has a number in C.
///
/// It wraps [`kernel::error::Error`], which can be made of any number and prints if that is none:
/// a policy must not print while it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error(kernel::error::Error);

/// A [`Result`](core::result::Result) with an [`Error`].
pub type Result<T = (), E = Error> = core::result::Result<T, E>;

impl Error {
    /// Its number, below zero.
    pub fn to_errno(self) -> c_int {
        self.0.to_errno()
    }
}

impl From<kernel::error::Error> for Error {
    fn from(error: kernel::error::Error) -> Self {
        Self(error)
    }
}

impl From<AllocError> for Error {
    fn from(error: AllocError) -> Self {
        Self(error.into())
    }
}

impl From<Infallible> for Error {
    fn from(error: Infallible) -> Self {
        match error {}
    }
}

/// What making a policy may fail with.
pub mod code {
    use super::Error;

    macro_rules! codes {
        ($($name:ident, $text:literal;)+) => {
            $(
                #[doc = $text]
                pub const $name: Error = Error(kernel::error::code::$name);
            )+
        };
    }

    codes! {
        E2BIG, "Argument list too long.";
        EBUSY, "Device or resource busy.";
        EEXIST, "File exists.";
        EINVAL, "Invalid argument.";
        ENODEV, "No such device.";
        ENOENT, "No such file or directory.";
        ENOLINK, "Link has been severed.";
        ENOMEM, "Out of memory.";
        EOVERFLOW, "Value too large for defined data type.";
        EPERM, "Operation not permitted.";
        ERANGE, "Math result not representable.";
        ESRCH, "No such process.";
    }
}
