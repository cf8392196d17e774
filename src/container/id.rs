//! A container's name.

use core::ffi::CStr;

use crate::error::{Error, Result};
use crate::limits;

/// Checks an id as runc does: letters, digits and `_ + - .`, and no name that means a directory.
pub fn check(id: &CStr) -> Result<()> {
    let bytes = id.to_bytes();
    if bytes.is_empty() {
        return Err(Error::refused("id", "container id cannot be empty"));
    }
    let fine = |byte: &u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(byte);
    if !bytes.iter().all(fine) || bytes == b"." || bytes == b".." || bytes.len() > limits::ID {
        return Err(Error::refused("id", "invalid container ID format"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_runc() {
        for good in [c"a", c"A9_+-.", c"...", c"web.1"] {
            assert!(check(good).is_ok(), "{good:?}");
        }
        for bad in [c"", c".", c"..", c"a/b", c"a b", c"\xc3\xa9", c"../x"] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
