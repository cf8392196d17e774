//! The netlink codec: messages (`nlmsghdr`) of attributes (`nlattr`), written and read in place.
//!
//! Everything that crosses the socketpair, and the plan in the state directory, has this form
//! (netlink(7), include/uapi/linux/netlink.h): a 16-byte header with a u32 length, then attributes
//! with a u16 length and type each, all aligned to four bytes. Strings carry their NUL, so that they
//! go to the kernel in place. Lists are repeated attributes. Byte order is the machine's.
//!
//! Invariants: the writer refuses what a u16 (or its buffer) cannot hold, once and for the whole
//! message (CVE-2021-43784); the reader never looks past what the enclosing length grants.

use core::ffi::CStr;

/// Bytes of `nlmsghdr`.
pub const HEADER: usize = 16;
/// Bytes of `nlattr`.
const ATTR_HEADER: usize = 4;
/// Set in `nla_type` of an attribute that holds attributes.
const NESTED: u16 = 1 << 15;
/// Most bytes that one attribute can carry.
pub const MAX_PAYLOAD: usize = u16::MAX as usize - ATTR_HEADER;

/// What is wrong with a message, and in which attribute type (0: in the message itself).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// The attribute's type number.
    pub kind: u16,
    /// What is wrong with it.
    pub fault: Fault,
}

/// The ways in which a message can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An attribute's payload is longer than [`MAX_PAYLOAD`].
    TooLong,
    /// The message is longer than its buffer.
    NoSpace,
    /// A length goes past the end of what encloses it, or is below its own header.
    Truncated,
    /// A value has not the size of its type.
    Size,
    /// A string without its NUL, or with one inside.
    Text,
    /// A type that the reader does not know.
    Unknown,
    /// A required attribute is not there.
    Missing,
    /// A number or flag outside of what its attribute may say.
    Value,
}

const fn align(len: usize) -> usize {
    (len + 3) & !3
}

/// Writes one message into a buffer. After the first error, everything is refused until [`Writer::finish`]
/// tells it, so that the steps in between need no check of their own.
pub struct Writer<'a> {
    buffer: &'a mut [u8],
    len: usize,
    error: Option<Error>,
}

/// An attribute that has been begun and not yet ended.
#[must_use]
pub struct Open {
    start: usize,
    kind: u16,
}

impl<'a> Writer<'a> {
    /// Begins a message of the type `kind`.
    pub fn new(buffer: &'a mut [u8], kind: u16) -> Self {
        Self::request(buffer, kind, 0, &[])
    }

    /// Begins one for the kernel: `NLM_F_*`, and the structure that is before the attributes.
    pub fn request(buffer: &'a mut [u8], kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut writer = Self { buffer, len: 0, error: None };
        let ([a, b], [c, d]) = (kind.to_ne_bytes(), flags.to_ne_bytes());
        writer.append(&[0, 0, 0, 0, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0]);
        writer.append(fixed);
        writer
    }

    /// Patches the message's length in and gives the whole.
    pub fn finish(self) -> Result<&'a [u8], Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let total = u32::try_from(self.len).map_err(|_| Error { kind: 0, fault: Fault::TooLong })?;
        const NO_SPACE: Error = Error { kind: 0, fault: Fault::NoSpace };
        let whole = self.buffer.get_mut(..self.len).ok_or(NO_SPACE)?;
        *whole.first_chunk_mut().ok_or(NO_SPACE)? = total.to_ne_bytes();
        Ok(whole)
    }

    /// The message as it is by now, as whoever receives the whole will begin to read it.
    pub fn so_far(&self) -> Message<'_> {
        let kind = match &*self.buffer {
            [_, _, _, _, a, b, ..] => u16::from_ne_bytes([*a, *b]),
            _ => 0,
        };
        Message { kind, attrs: Attrs(self.buffer.get(HEADER..self.len).unwrap_or(&[])) }
    }

    /// The first thing that went wrong, if anything has.
    pub fn error(&self) -> Option<Error> {
        self.error
    }

    /// Begins an attribute whose payload follows by [`Writer::append`] or as nested attributes.
    pub fn begin(&mut self, kind: u16) -> Open {
        let start = self.len;
        self.append(&[0; ATTR_HEADER]);
        Open { start, kind }
    }

    /// Payload bytes for the attribute that is open.
    pub fn append(&mut self, bytes: &[u8]) {
        if self.error.is_some() {
            return;
        }
        match self.buffer.get_mut(self.len..).and_then(|free| free.get_mut(..bytes.len())) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.error = Some(Error { kind: 0, fault: Fault::NoSpace }),
        }
    }

    /// Ends an attribute: checks and patches its length, pads to four bytes.
    pub fn end(&mut self, open: Open) {
        self.close(open, 0);
    }

    /// Ends an attribute that holds attributes.
    pub fn end_nest(&mut self, open: Open) {
        self.close(open, NESTED);
    }

    fn close(&mut self, open: Open, flags: u16) {
        if self.error.is_some() {
            return;
        }
        let Ok(len) = u16::try_from(self.len - open.start) else {
            self.error = Some(Error { kind: open.kind, fault: Fault::TooLong });
            return;
        };
        let ([a, b], [c, d]) = (len.to_ne_bytes(), (open.kind | flags).to_ne_bytes());
        if let Some(header) = self.buffer.get_mut(open.start..).and_then(<[u8]>::first_chunk_mut) {
            *header = [a, b, c, d];
        }
        let padding = align(self.len) - self.len;
        self.append([0; 3].get(..padding).unwrap_or(&[]));
    }

    /// An attribute of raw bytes.
    pub fn bytes(&mut self, kind: u16, payload: &[u8]) {
        if self.error.is_some() {
            return;
        }
        let whole = ATTR_HEADER + payload.len();
        let Ok(len) = u16::try_from(whole) else {
            self.error = Some(Error { kind, fault: Fault::TooLong });
            return;
        };
        let free = self.buffer.get_mut(self.len..).and_then(|free| free.get_mut(..align(whole)));
        let Some((header, place)) = free.and_then(<[u8]>::split_first_chunk_mut) else {
            self.error = Some(Error { kind: 0, fault: Fault::NoSpace });
            return;
        };
        let ([a, b], [c, d]) = (len.to_ne_bytes(), kind.to_ne_bytes());
        *header = [a, b, c, d];
        let (text, padding) = place.split_at_mut(payload.len());
        text.copy_from_slice(payload);
        padding.fill(0);
        self.len += align(whole);
    }

    /// A string with its NUL.
    pub fn string(&mut self, kind: u16, text: &CStr) {
        self.bytes(kind, text.to_bytes_with_nul());
    }

    /// A 32-bit number.
    pub fn u32(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_ne_bytes());
    }

    /// A 64-bit number.
    pub fn u64(&mut self, kind: u16, value: u64) {
        self.bytes(kind, &value.to_ne_bytes());
    }

    /// A signed 64-bit number.
    pub fn i64(&mut self, kind: u16, value: i64) {
        self.bytes(kind, &value.to_ne_bytes());
    }

    /// An attribute without payload: present means true.
    pub fn flag(&mut self, kind: u16) {
        self.bytes(kind, &[]);
    }

    /// An attribute of attributes.
    pub fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let open = self.begin(kind);
        fill(self);
        self.end_nest(open);
    }
}

/// One message as it was received.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// `nlmsg_type`.
    pub kind: u16,
    /// What follows the header.
    pub attrs: Attrs<'a>,
}

impl<'a> Message<'a> {
    /// The message at the start of `bytes`, and what lies behind it.
    pub fn parse(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Error> {
        const SHORT: Error = Error { kind: 0, fault: Fault::Truncated };
        let header = bytes.first_chunk::<HEADER>().ok_or(SHORT)?;
        let [a, b, c, d, e, f, ..] = *header;
        let total = u32::from_ne_bytes([a, b, c, d]) as usize;
        let kind = u16::from_ne_bytes([e, f]);
        let payload = bytes.get(HEADER..total).ok_or(SHORT)?;
        let rest = bytes.get(align(total)..).unwrap_or(&[]);
        Ok((Self { kind, attrs: Attrs(payload) }, rest))
    }

    /// The structure of `N` bytes (a multiple of four) that the kernel puts before the attributes, and those.
    pub fn fixed<const N: usize>(&self) -> Result<([u8; N], Attrs<'a>), Error> {
        match self.attrs.0.split_first_chunk() {
            Some((fixed, rest)) => Ok((*fixed, Attrs(rest))),
            None => Err(Error { kind: 0, fault: Fault::Truncated }),
        }
    }
}

/// Attributes in a row: an iterator that ends after its first error.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attrs<'a>(&'a [u8]);

/// One attribute.
#[derive(Clone, Copy, Debug)]
pub struct Attr<'a> {
    /// `nla_type` without its flags.
    pub kind: u16,
    payload: &'a [u8],
}

impl<'a> Iterator for Attrs<'a> {
    type Item = Result<Attr<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let bytes = core::mem::take(&mut self.0);
        let Some(&[a, b, c, d]) = bytes.first_chunk::<ATTR_HEADER>() else {
            return Some(Err(Error { kind: 0, fault: Fault::Truncated }));
        };
        let len = usize::from(u16::from_ne_bytes([a, b]));
        let kind = u16::from_ne_bytes([c, d]) & !NESTED;
        let Some(payload) = bytes.get(ATTR_HEADER..len) else {
            return Some(Err(Error { kind, fault: Fault::Truncated }));
        };
        self.0 = bytes.get(align(len)..).unwrap_or(&[]);
        Some(Ok(Attr { kind, payload }))
    }
}

impl<'a> Attr<'a> {
    /// The payload as it is.
    pub fn bytes(&self) -> &'a [u8] {
        self.payload
    }

    /// The string, with its NUL in place.
    pub fn string(&self) -> Result<&'a CStr, Error> {
        CStr::from_bytes_with_nul(self.payload).map_err(|_| self.fault(Fault::Text))
    }

    /// The 32-bit number.
    pub fn u32(&self) -> Result<u32, Error> {
        self.array().map(u32::from_ne_bytes)
    }

    /// The 64-bit number.
    pub fn u64(&self) -> Result<u64, Error> {
        self.array().map(u64::from_ne_bytes)
    }

    /// The signed 64-bit number.
    pub fn i64(&self) -> Result<i64, Error> {
        self.array().map(i64::from_ne_bytes)
    }

    /// The attributes inside.
    pub fn attrs(&self) -> Attrs<'a> {
        Attrs(self.payload)
    }

    /// An error about this attribute.
    pub fn fault(&self, fault: Fault) -> Error {
        Error { kind: self.kind, fault }
    }

    /// The error for a reader that does not know this type.
    pub fn unknown(&self) -> Error {
        self.fault(Fault::Unknown)
    }

    fn array<const N: usize>(&self) -> Result<[u8; N], Error> {
        self.payload.try_into().map_err(|_| self.fault(Fault::Size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn sample(buffer: &mut [u8]) -> &[u8] {
        let mut writer = Writer::new(buffer, 0x11);
        writer.string(1, c"ab");
        writer.nest(2, |w| {
            w.u32(3, 7);
            w.flag(4);
        });
        writer.finish().unwrap()
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn golden_bytes() {
        let mut buffer = [0xff; 64];
        let expected: &[u8] = &[
            40, 0, 0, 0, 0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // nlmsghdr: 40 bytes, type 0x11
            7, 0, 1, 0, b'a', b'b', 0, 0, // string, its NUL, one byte of padding
            16, 0, 2, 0x80, // nest
            8, 0, 3, 0, 7, 0, 0, 0, // u32
            4, 0, 4, 0, // flag
        ];
        assert_eq!(sample(&mut buffer), expected);
    }

    #[test]
    fn what_was_written_is_read_back() {
        let mut buffer = [0; 64];
        let bytes = sample(&mut buffer);
        let (message, rest) = Message::parse(bytes).unwrap();
        assert_eq!((message.kind, rest.len()), (0x11, 0));
        let attrs: Vec<_> = message.attrs.map(Result::unwrap).collect();
        assert_eq!(attrs[0].string(), Ok(c"ab"));
        let inner: Vec<_> = attrs[1].attrs().map(Result::unwrap).collect();
        assert_eq!((inner[0].u32(), inner[1].bytes().len()), (Ok(7), 0));
        assert_eq!(inner[0].u64(), Err(Error { kind: 3, fault: Fault::Size }));
    }

    #[test]
    fn the_largest_payload_fits_and_one_byte_more_is_refused() {
        let mut buffer = vec![0; 70_000];
        let mut writer = Writer::new(&mut buffer, 1);
        writer.bytes(9, &vec![1; MAX_PAYLOAD]);
        let bytes = writer.finish().unwrap();
        let attr = Message::parse(bytes).unwrap().0.attrs.next().unwrap().unwrap();
        assert_eq!(attr.bytes().len(), MAX_PAYLOAD);
        let mut writer = Writer::new(&mut buffer, 1);
        writer.bytes(9, &vec![1; MAX_PAYLOAD + 1]);
        assert_eq!(writer.finish(), Err(Error { kind: 9, fault: Fault::TooLong }));
    }

    #[test]
    fn a_full_buffer_is_refused() {
        let mut buffer = [0; HEADER + 7];
        let mut writer = Writer::new(&mut buffer, 1);
        writer.u32(1, 1);
        assert_eq!(writer.finish(), Err(Error { kind: 0, fault: Fault::NoSpace }));
    }

    /// Every truncation and every single corrupted byte is either read without looking outside, or refused.
    #[test]
    fn no_truncated_or_corrupted_message_makes_the_reader_misbehave() {
        fn walk(attrs: Attrs<'_>, depth: u8) {
            for attr in attrs {
                let Ok(attr) = attr else { return };
                let _ = (attr.string(), attr.u32(), attr.u64(), attr.bytes().len());
                if depth < 4 {
                    walk(attr.attrs(), depth + 1);
                }
            }
        }
        let mut buffer = [0; 64];
        let bytes = sample(&mut buffer).to_vec();
        for cut in 0..bytes.len() {
            assert!(Message::parse(&bytes[..cut]).is_err());
        }
        for at in 0..bytes.len() {
            for value in 0..=255 {
                let mut bent = bytes.clone();
                bent[at] = value;
                if let Ok((message, _)) = Message::parse(&bent) {
                    walk(message.attrs, 0);
                }
            }
        }
    }

    #[test]
    fn a_length_below_its_header_ends_the_list() {
        let mut attrs = Attrs(&[3, 0, 1, 0, 8, 0, 1, 0]);
        assert_eq!(attrs.next().unwrap().unwrap_err().fault, Fault::Truncated);
        assert!(attrs.next().is_none());
    }
}
