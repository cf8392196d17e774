//! passwd(5).

use super::cgroupfs::{lines, number};

/// The name of the first user who has this number.
pub fn name(passwd: &[u8], uid: u32) -> Option<&[u8]> {
    lines(passwd).find_map(|line| {
        let mut fields = line.split(|&byte| byte == b':');
        let name = fields.next()?;
        let theirs = number(fields.nth(1)?)?;
        (theirs == u64::from(uid)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn the_first_user_of_a_number_is_found() {
        let passwd = b"root:x:0:0:root:/root:/bin/sh\nbroken\n#a:x\nb:x:7:7::/:\nc:x:7:8::/:\nlast:x:9";
        assert_eq!(name(passwd, 0), Some(&b"root"[..]));
        assert_eq!(name(passwd, 7), Some(&b"b"[..]));
        assert_eq!(name(passwd, 9), Some(&b"last"[..]));
        assert_eq!(name(passwd, 8), None);
    }
}
