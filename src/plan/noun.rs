//! How a value becomes attributes and back: one table per noun, in its own declaration.
//!
//! The number before each field is its attribute type inside the noun's nest. Numbers are never
//! reused, so that a newer binary reads the stored plan of an older container.
//!
//! What each noun repeats is kept out of line: inlined, the codec of a field is 8 KB of the binary.

use core::ffi::CStr;
use core::fmt;

use nsenter::attr::{Attr, Attrs, Error, Fault, Writer};

use crate::text;

/// One field of a noun.
pub trait Field<'w>: Sized {
    /// Writes the field; nothing when it is absent.
    fn emit(&self, kind: u16, writer: &mut Writer<'_>);
    /// Reads it back.
    fn parse(attr: Attr<'w>) -> Result<Self, Error>;
    /// What it is when its attribute is not there; `None`: it must be.
    fn absent() -> Option<Self> {
        None
    }
    /// ` name=value`, for people.
    fn show(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// A value that is an attribute of the plan.
pub trait Noun<'w>: Sized {
    /// Its attribute type in the plan.
    const KIND: u16;
    /// Its fields as attributes.
    fn fields(&self, writer: &mut Writer<'_>);
    /// Reads it back; unknown fields are refused.
    fn parse(attrs: Attrs<'w>) -> Result<Self, Error>;
    /// Writes the whole nest.
    fn emit(&self, writer: &mut Writer<'_>) {
        writer.nest(Self::KIND, |writer| self.fields(writer));
    }
}

macro_rules! number {
    ($type:ident) => {
        impl Field<'_> for $type {
            #[inline(never)]
            fn emit(&self, kind: u16, writer: &mut Writer<'_>) {
                writer.$type(kind, *self);
            }
            #[inline(never)]
            fn parse(attr: Attr<'_>) -> Result<Self, Error> {
                attr.$type()
            }
            #[inline(never)]
            fn show(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, " {name}={self}")
            }
        }
    };
}

number!(u32);
number!(u64);
number!(i64);

impl<'w: 'a, 'a> Field<'w> for &'a CStr {
    #[inline(never)]
    fn emit(&self, kind: u16, writer: &mut Writer<'_>) {
        writer.string(kind, self);
    }
    #[inline(never)]
    fn parse(attr: Attr<'w>) -> Result<Self, Error> {
        attr.string()
    }
    #[inline(never)]
    fn show(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {name}={}", text::shown(self))
    }
}

/// Present means true.
impl Field<'_> for bool {
    #[inline(never)]
    fn emit(&self, kind: u16, writer: &mut Writer<'_>) {
        if *self {
            writer.flag(kind);
        }
    }
    #[inline(never)]
    fn parse(attr: Attr<'_>) -> Result<Self, Error> {
        if attr.bytes().is_empty() { Ok(true) } else { Err(attr.fault(Fault::Size)) }
    }
    fn absent() -> Option<Self> {
        Some(false)
    }
    #[inline(never)]
    fn show(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self { write!(f, " {name}") } else { Ok(()) }
    }
}

impl<'w, T: Field<'w>> Field<'w> for Option<T> {
    fn emit(&self, kind: u16, writer: &mut Writer<'_>) {
        if let Some(value) = self {
            value.emit(kind, writer);
        }
    }
    fn parse(attr: Attr<'w>) -> Result<Self, Error> {
        T::parse(attr).map(Some)
    }
    fn absent() -> Option<Self> {
        Some(None)
    }
    fn show(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().map_or(Ok(()), |value| value.show(name, f))
    }
}

/// Declares a noun: its struct, [`Noun`], and its form for people. `as` names a function of [`super::shown`]
/// for a field whose number has a better name.
macro_rules! noun {
    ($(#[$doc:meta])* $kind:path => $name:ident $(<$life:lifetime>)? {
        $($(#[$field_doc:meta])* $number:literal $field:ident: $type:ty $(as $show:path)?,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name $(<$life>)? {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl<'w $(: $life, $life)?> $crate::plan::noun::Noun<'w> for $name $(<$life>)? {
            const KIND: u16 = $kind;

            fn fields(&self, writer: &mut nsenter::attr::Writer<'_>) {
                $($crate::plan::noun::Field::emit(&self.$field, $number, writer);)*
            }

            fn parse(attrs: nsenter::attr::Attrs<'w>) -> Result<Self, nsenter::attr::Error> {
                $(let mut $field = <$type as $crate::plan::noun::Field>::absent();)*
                for attr in attrs {
                    let attr = attr?;
                    match attr.kind {
                        $($number => $field = Some($crate::plan::noun::Field::parse(attr)?),)*
                        _ => return Err(attr.unknown()),
                    }
                }
                Ok(Self {
                    $($field: $field.ok_or(nsenter::attr::Error {
                        kind: $number,
                        fault: nsenter::attr::Fault::Missing,
                    })?,)*
                })
            }
        }

        impl $(<$life>)? core::fmt::Display for $name $(<$life>)? {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                $($crate::plan::noun::show!(self.$field, stringify!($field), f $(, $show)?);)*
                Ok(())
            }
        }
    };
}

/// One field for people: in its own way, or as its type has it.
macro_rules! show {
    ($value:expr, $name:expr, $f:expr) => {
        $crate::plan::noun::Field::show(&$value, $name, $f)?
    };
    ($value:expr, $name:expr, $f:expr, $show:path) => {
        $show($value, $name, $f)?
    };
}

pub(crate) use {noun, show};
