//! What the kernel hands to a new program: its arguments and its environment (execve(2)).

#![allow(unsafe_code)]

use core::ffi::{CStr, c_char};

use nsenter::trace;

use super::process::Vector;

/// A vector of strings that ends in a null pointer.
#[derive(Clone, Copy)]
pub struct Strings {
    next: *const *const c_char,
}

impl Strings {
    /// # Safety
    /// `first` is the `argv` or `envp` of this process: null-terminated, and in place for as long as it runs.
    pub unsafe fn new(first: *const *const c_char) -> Self {
        Self { next: first }
    }

    /// When the runtime started us as a stage (argv[0] says so): the socket's number, and argv[0] to write
    /// another name over.
    pub fn stage(mut self) -> Option<(i32, &'static mut [u8])> {
        let name = self.next().filter(|name| *name == nsenter::stage::CHILD)?;
        let socket = self.next()?.to_str().ok()?.parse().ok()?;
        if self.next().is_some() {
            trace::begin();
            trace::mark(trace::EXEC);
        }
        // SAFETY: argv lies on our own stack, is writable, and nobody holds another reference to its first string.
        let bytes =
            unsafe { core::slice::from_raw_parts_mut(name.as_ptr().cast_mut().cast(), name.count_bytes()) };
        Some((socket, bytes))
    }

    /// The value of the environment variable `name`.
    pub fn variable(self, name: &str) -> Option<&'static CStr> {
        let is_it = |text: &'static CStr| {
            let rest = text.to_bytes_with_nul().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            CStr::from_bytes_with_nul(rest).ok()
        };
        self.into_iter().find_map(is_it)
    }
}

impl From<Vector<'static>> for Strings {
    fn from(vector: Vector<'static>) -> Self {
        Self { next: vector.as_ptr() }
    }
}

impl Iterator for Strings {
    type Item = &'static CStr;

    fn next(&mut self) -> Option<&'static CStr> {
        // SAFETY: `next` has not passed the null pointer that ends the vector (it stays on it), and the
        // kernel put a string with its NUL behind every other pointer, above the stack, for good.
        unsafe {
            let text = *self.next;
            if text.is_null() {
                return None;
            }
            self.next = self.next.add(1);
            Some(CStr::from_ptr(text))
        }
    }
}
