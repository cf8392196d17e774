//! The container's state, as hooks get it on stdin and as `state` and `list` print it.

use core::fmt;

use super::VERSION;
use crate::wire::json::Writer;

/// The State object of runtime.md, and what runc's `state` says besides.
///
/// Strings are bytes: a bundle's path need not be UTF-8.
#[derive(Clone, Copy)]
pub struct State<'a> {
    pub id: &'a [u8],
    /// `creating`, `created`, `running`, `paused` or `stopped`.
    pub status: &'a [u8],
    /// In the runtime's pid namespace; 0 when stopped.
    pub pid: i32,
    pub bundle: &'a [u8],
}

/// Key and value of one annotation.
pub type Annotation<'a> = (&'a [u8], &'a [u8]);

impl<'a> State<'a> {
    /// On one line, as hooks read it. Annotations are written as they come, so they need no room anywhere.
    pub fn write(
        &self,
        annotations: impl Iterator<Item = Annotation<'a>>,
        out: &mut dyn fmt::Write,
    ) -> fmt::Result {
        self.write_member(None, annotations, &mut Writer::compact(out))
    }

    /// The same as a value of `writer`, a member if it has a key.
    pub fn write_member(
        &self,
        key: Option<&str>,
        mut annotations: impl Iterator<Item = Annotation<'a>>,
        writer: &mut Writer<'_>,
    ) -> fmt::Result {
        writer.object(key)?;
        writer.string(Some("ociVersion"), VERSION.as_bytes())?;
        writer.string(Some("id"), self.id)?;
        writer.string(Some("status"), self.status)?;
        if self.pid != 0 {
            writer.number(Some("pid"), self.pid.into())?;
        }
        writer.string(Some("bundle"), self.bundle)?;
        self::annotations(writer, &mut annotations)?;
        writer.end_object()
    }

    /// runc's form, as a value of `writer`: indented for `state`, one of an array for `list`.
    /// `created` is a time as RFC 3339 has it.
    pub fn print(
        &self,
        rootfs: &[u8],
        created: &str,
        mut annotations: impl Iterator<Item = Annotation<'a>>,
        owner: &str,
        writer: &mut Writer<'_>,
    ) -> fmt::Result {
        writer.object(None)?;
        writer.string(Some("ociVersion"), VERSION.as_bytes())?;
        writer.string(Some("id"), self.id)?;
        writer.number(Some("pid"), self.pid.into())?;
        writer.string(Some("status"), self.status)?;
        writer.string(Some("bundle"), self.bundle)?;
        writer.string(Some("rootfs"), rootfs)?;
        writer.string(Some("created"), created.as_bytes())?;
        self::annotations(writer, &mut annotations)?;
        writer.string(Some("owner"), owner.as_bytes())?;
        writer.end_object()
    }
}

/// The member `annotations`, left out when there are none, as Go's `omitempty` does.
fn annotations<'a>(
    writer: &mut Writer<'_>,
    annotations: &mut dyn Iterator<Item = Annotation<'a>>,
) -> fmt::Result {
    let mut any = false;
    for (key, value) in annotations {
        if !any {
            writer.object(Some("annotations"))?;
            any = true;
        }
        writer.entry(key, value)?;
    }
    if any { writer.end_object() } else { Ok(()) }
}
