//! state.json: which process the container is, and since when.
//!
//! Its status is not in it: that is asked of the kernel each time.

use core::ffi::CStr;
use core::fmt::Write;

use super::identity::Identity;
use super::store::Entry;
use crate::error::{Error, Result};
use crate::limits;
use crate::wire::json::{Document, Text};
use crate::wire::time::Moment;

/// The operation of the errors about its content.
pub const NAME: &str = "state.json";

/// What is remembered.
pub struct Record {
    /// Init; none while it is being made.
    pub init: Option<Identity>,
    /// RFC 3339.
    pub created: heapless::String<40>,
}

impl Record {
    /// Of a container that begins now.
    pub fn new(init: Identity) -> Self {
        let now = Moment::from(crate::sys::clock::realtime());
        let mut created = heapless::String::new();
        // 30 characters at most, until the year 10000.
        let _ = write!(created, "{now}");
        Self { init: Some(init), created }
    }

    /// Writes it. The id needs no escape: its letters are checked.
    #[inline(never)]
    pub fn store(&self, entry: &Entry, id: &CStr) -> Result<()> {
        let mut text = heapless::String::<{ limits::ID + 256 }>::new();
        let Identity { pid, start } = self.init.unwrap_or(Identity { pid: 0, start: 0 });
        let id = id.to_str().unwrap_or("");
        let created = &self.created;
        write!(text, r#"{{"id":"{id}","pid":{pid},"start":{start},"created":"{created}"}}"#)
            .map_err(|_| Error::refused(NAME, "longer than its limit"))?;
        entry.write_state(text.as_bytes())
    }

    /// Reads it back; none when the runtime was killed before it was written.
    pub fn load(entry: &Entry) -> Result<Option<Self>> {
        let text = match entry.read_state() {
            Err(error) if error.errno() == Some(crate::error::Errno::NOENT) => return Ok(None),
            done => done?,
        };
        Self::parse(text).map(Some)
    }

    /// What the text says.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let document = Document::parse(NAME, text)?;
        let root = document.root();
        let created: Option<Text<'_>> = root.get("created")?;
        let mut copy = [0; 40];
        let created = created.and_then(|text| text.decode(&mut copy).ok());
        let init = match (root.get::<Option<i32>>("pid")?, root.get::<Option<u64>>("start")?) {
            (Some(pid), Some(start)) => Some(Identity { pid, start }),
            _ => None,
        };
        Ok(Self { init, created: heapless::String::try_from(created.unwrap_or("")).unwrap_or_default() })
    }
}
