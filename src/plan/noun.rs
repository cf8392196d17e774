//! How a value becomes attributes and back: one table per noun, made by its own declaration.
//!
//! The number before each field is its attribute type inside the noun's nest. Numbers are never
//! reused, so that a newer binary reads the stored plan of an older container.
//!
//! A table says where each field lies, of which type it is and which property of the configuration it comes from, and one
//! parser, one emitter, one printer and one reader of JSON ([`super::translate`]) walk all tables over the values' memory: a
//! codec per noun would be a tenth of the binary.

#![allow(unsafe_code)]

use core::ffi::CStr;
use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;

use nsenter::attr::{Attr, Attrs, Error, Fault, Writer};

use super::hook::Strings;
use super::shown::Show;
use super::{All, broken};
use crate::text;

/// The types that a field can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    U32,
    U64,
    I64,
    /// `bool`: present means true.
    Flag,
    /// `&CStr`.
    Text,
    MaybeU32,
    MaybeU64,
    MaybeI64,
    MaybeText,
    /// [`Strings`].
    List,
}

/// A type of the plan.
///
/// # Safety
///
/// `TYPE` names exactly this type.
pub unsafe trait Typed {
    /// Its name in the tables.
    const TYPE: Type;
}

macro_rules! typed {
    ($($type:ty => $name:ident,)*) => {
        // SAFETY: the two are listed side by side, as `Type` documents them.
        $(unsafe impl Typed for $type { const TYPE: Type = Type::$name; })*
    };
}

typed! {
    u32 => U32,
    u64 => U64,
    i64 => I64,
    bool => Flag,
    &CStr => Text,
    Option<u32> => MaybeU32,
    Option<u64> => MaybeU64,
    Option<i64> => MaybeI64,
    Option<&CStr> => MaybeText,
    Strings<'_> => List,
}

/// How a field is made of a property of the configuration. What need not be there is absent where its type can be
/// that, false if it is a flag, and else missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// It is not: there is no one property that says it.
    No,
    /// A number, a string, true or false, or a list of strings, as the type has it. A string that may be absent is if it is empty.
    Plain,
    /// Of that, what is missing is 0.
    Zero,
    /// Of that, 0 is how Go callers write what is not given.
    Given,
    /// The same of an amount of memory; -1 is no limit.
    Bytes,
    /// The same of 16 bits; what range is right depends on the kernel's scheduler, and it says so itself.
    Weight,
    /// 1 for true. False is how the kernel begins, and what Go callers write for what is not given.
    Switch,
    /// -1, as Go callers write it, is any number.
    Any,
    /// An absolute path.
    Path,
    /// One of the names that the field is shown by.
    Name,
    /// A list of them, each a bit.
    Names,
    /// Processors or memory nodes ([`super::list`]), as they were written.
    Numbers,
}

/// One field of a noun.
#[derive(Clone, Copy)]
pub struct Field {
    pub number: u8,
    pub kind: Type,
    /// Bytes from the value's begin.
    pub offset: u8,
    pub show: Show,
    pub row: Row,
}

/// All of a noun.
pub struct Table {
    /// Its attribute type in the plan.
    pub kind: u16,
    pub fields: &'static [Field],
    /// The property that each is made of, with a blank behind it; empty: none.
    pub keys: &'static str,
    /// Names of the fields, each with a blank behind it.
    pub names: &'static str,
}

/// Memory that any noun fits into.
pub type Room = MaybeUninit<[u64; 32]>;

/// A value that is an attribute of the plan; made by `noun!`.
///
/// # Safety
///
/// `TABLE` lists all fields of the type, each with its offset and type, and the type fits into a [`Room`].
/// Strings in it live for `'w` at most.
pub unsafe trait Noun<'w>: Copy {
    /// Its fields.
    const TABLE: &'static Table;
    /// Its attribute type in the plan.
    const KIND: u16 = Self::TABLE.kind;

    /// The value behind a common face.
    fn view(&self) -> View<'_> {
        View { table: Self::TABLE, place: core::ptr::from_ref(self).cast(), life: PhantomData }
    }
    /// Reads it back; unknown fields are refused.
    fn parse(attrs: Attrs<'w>) -> Result<Self, Error> {
        let mut place = MaybeUninit::<Self>::uninit();
        // SAFETY: the table is this type's; after an Ok each of its fields has been written.
        unsafe {
            Self::TABLE.fill(attrs, place.as_mut_ptr().cast())?;
            Ok(place.assume_init())
        }
    }
    /// The value behind a common face, to be written to.
    fn view_mut(&mut self) -> ViewMut<'_, 'w> {
        let place = core::ptr::from_mut(self).cast();
        ViewMut { table: Self::TABLE, place, life: PhantomData, strings: PhantomData }
    }
    /// The first of its kind, if there is one.
    #[inline(never)]
    fn one(all: &mut All<'w>) -> crate::error::Result<Option<Self>> {
        let mut place = MaybeUninit::<Self>::uninit();
        // SAFETY: as for `parse`.
        unsafe {
            match Self::TABLE.fill_next(all, place.as_mut_ptr().cast()) {
                Some(Ok(())) => Ok(Some(place.assume_init())),
                Some(Err(error)) => Err(error),
                None => Ok(None),
            }
        }
    }
    /// The next of its kind, if there is one.
    #[inline(never)]
    fn next(all: &mut All<'w>) -> Option<crate::error::Result<Self>> {
        let mut place = MaybeUninit::<Self>::uninit();
        // SAFETY: as for `parse`.
        unsafe {
            match Self::TABLE.fill_next(all, place.as_mut_ptr().cast())? {
                Ok(()) => Some(Ok(place.assume_init())),
                Err(error) => Some(Err(error)),
            }
        }
    }
    /// Writes the whole nest.
    fn emit(&self, writer: &mut Writer<'_>) {
        self.view().emit(writer);
    }
}

/// What a field holds, whatever its type.
#[derive(Clone, Copy)]
pub enum Value<'w> {
    Absent,
    Number(u64),
    Signed(i64),
    Flag(bool),
    Text(&'w CStr),
    List(Strings<'w>),
}

impl Type {
    fn parse(self, attr: Attr<'_>) -> Result<Value<'_>, Error> {
        Ok(match self {
            Self::U32 | Self::MaybeU32 => Value::Number(attr.u32()?.into()),
            Self::U64 | Self::MaybeU64 => Value::Number(attr.u64()?),
            Self::I64 | Self::MaybeI64 => Value::Signed(attr.i64()?),
            Self::Flag if attr.bytes().is_empty() => Value::Flag(true),
            Self::Flag => return Err(attr.fault(Fault::Size)),
            Self::Text | Self::MaybeText => Value::Text(attr.string()?),
            Self::List => Value::List(Strings::checked(attr.attrs())?),
        })
    }

    /// Whether a value without this attribute is none.
    fn is_required(self) -> bool {
        matches!(self, Self::U32 | Self::U64 | Self::I64 | Self::Text)
    }
}

impl Field {
    /// What the field holds in the value at `base`.
    ///
    /// # Safety
    ///
    /// The field is of the type of the value at `base`, whose strings live for `'w`.
    unsafe fn read<'w>(self, base: *const u8) -> Value<'w> {
        let place = base.wrapping_add(self.offset.into());
        // SAFETY: there is a value of this type, says the caller; its table has the type from `Typed`.
        unsafe {
            match self.kind {
                Type::U32 => Value::Number((*place.cast::<u32>()).into()),
                Type::U64 => Value::Number(*place.cast()),
                Type::I64 => Value::Signed(*place.cast()),
                Type::Flag => Value::Flag(*place.cast()),
                Type::Text => Value::Text(*place.cast()),
                Type::List => Value::List(*place.cast()),
                Type::MaybeU32 => match *place.cast::<Option<u32>>() {
                    Some(number) => Value::Number(number.into()),
                    None => Value::Absent,
                },
                Type::MaybeU64 => (*place.cast::<Option<u64>>()).map_or(Value::Absent, Value::Number),
                Type::MaybeI64 => (*place.cast::<Option<i64>>()).map_or(Value::Absent, Value::Signed),
                Type::MaybeText => (*place.cast::<Option<&CStr>>()).map_or(Value::Absent, Value::Text),
            }
        }
    }

    /// Writes what `Type::parse` made of this field's attribute, or what it is without one.
    ///
    /// # Safety
    ///
    /// The field is of the type that `base` has room for, and strings of `value` outlive what is made there.
    unsafe fn write(self, base: *mut u8, value: Value<'_>) {
        let place = base.wrapping_add(self.offset.into());
        let number = if let Value::Number(number) = value { Some(number) } else { None };
        let signed = if let Value::Signed(number) = value { Some(number) } else { None };
        let text = if let Value::Text(text) = value { Some(text) } else { None };
        // SAFETY: there is room for this type at this offset, says the caller.
        unsafe {
            match self.kind {
                Type::U32 => place.cast::<u32>().write(number.unwrap_or(0) as u32),
                Type::U64 => place.cast::<u64>().write(number.unwrap_or(0)),
                Type::I64 => place.cast::<i64>().write(signed.unwrap_or(0)),
                Type::Flag => place.cast::<bool>().write(matches!(value, Value::Flag(true))),
                Type::Text => place.cast::<&CStr>().write(text.unwrap_or(c"")),
                Type::MaybeU32 => place.cast::<Option<u32>>().write(number.map(|number| number as u32)),
                Type::MaybeU64 => place.cast::<Option<u64>>().write(number),
                Type::MaybeI64 => place.cast::<Option<i64>>().write(signed),
                Type::MaybeText => place.cast::<Option<&CStr>>().write(text),
                Type::List => {
                    let list = if let Value::List(list) = value { list } else { Strings::NONE };
                    place.cast::<Strings<'_>>().write(list);
                }
            }
        }
    }
}

impl Table {
    /// Reads a noun of this table into `room`, without knowing which it is.
    pub fn parse<'v>(&'static self, attrs: Attrs<'v>, room: &'v mut Room) -> Result<View<'v>, Error> {
        let place = room.as_mut_ptr().cast();
        // SAFETY: every noun fits into a room.
        unsafe { self.fill(attrs, place)? };
        Ok(View { table: self, place, life: PhantomData })
    }

    /// [`fill`](Self::fill) from the next attribute.
    ///
    /// # Safety
    ///
    /// As there.
    #[inline(never)]
    unsafe fn fill_next(&self, all: &mut All<'_>, base: *mut u8) -> Option<crate::error::Result<()>> {
        Some(match all.next()? {
            // SAFETY: the caller's.
            Ok(attr) => unsafe { self.fill(attr.attrs(), base) }.map_err(broken),
            Err(error) => Err(error),
        })
    }

    /// Writes every field of the value at `base`, unless there is an error.
    ///
    /// # Safety
    ///
    /// `base` has room for a value of this table's type, whose strings live as long as those of `attrs`.
    #[inline(never)]
    unsafe fn fill(&self, attrs: Attrs<'_>, base: *mut u8) -> Result<(), Error> {
        let mut seen = 0_u32;
        for attr in attrs {
            let attr = attr?;
            let known = self.fields.iter().position(|field| u16::from(field.number) == attr.kind);
            let Some((at, field)) = known.and_then(|at| Some((at, self.fields.get(at)?))) else {
                return Err(attr.unknown());
            };
            seen |= 1 << at;
            // SAFETY: the caller's room, this table's field.
            unsafe { field.write(base, field.kind.parse(attr)?) };
        }
        for (at, field) in self.fields.iter().enumerate().filter(|(at, _)| seen & 1 << at == 0) {
            debug_assert!(at < 32);
            if field.kind.is_required() {
                return Err(Error { kind: field.number.into(), fault: Fault::Missing });
            }
            // SAFETY: as above.
            unsafe { field.write(base, Value::Absent) };
        }
        Ok(())
    }
}

/// Any noun that is being made.
pub struct ViewMut<'v, 'w> {
    pub table: &'static Table,
    place: *mut u8,
    life: PhantomData<&'v mut ()>,
    /// Neither longer nor shorter: what is written lives for `'w`.
    strings: PhantomData<fn(&'w ()) -> &'w ()>,
}

impl<'w> ViewMut<'_, 'w> {
    /// Sets each field that is read from a property, as `take` has it.
    #[inline(never)]
    pub fn fill(
        &mut self,
        take: &mut dyn FnMut(usize, &Field) -> crate::error::Result<Value<'w>>,
    ) -> crate::error::Result<()> {
        for (at, field) in self.table.fields.iter().enumerate().filter(|(_, field)| field.row != Row::No) {
            // SAFETY: a view is only made of a value of its table's type, which has this field.
            unsafe { field.write(self.place, take(at, field)?) };
        }
        Ok(())
    }
}

/// Any noun: its table and where it lies.
#[derive(Clone, Copy)]
pub struct View<'v> {
    table: &'static Table,
    place: *const u8,
    life: PhantomData<&'v ()>,
}

impl<'v> View<'v> {
    fn read(&self, field: &Field) -> Value<'v> {
        // SAFETY: a view is only made of a value of its table's type, which is borrowed for `'v`.
        unsafe { field.read(self.place) }
    }

    /// Whether all fields are absent or false.
    pub fn is_empty(&self) -> bool {
        self.table.fields.iter().all(|field| matches!(self.read(field), Value::Absent | Value::Flag(false)))
    }

    /// Writes the whole nest.
    #[inline(never)]
    pub fn emit(&self, writer: &mut Writer<'_>) {
        let open = writer.begin(self.table.kind);
        for field in self.table.fields {
            let number = field.number.into();
            match self.read(field) {
                Value::Absent | Value::Flag(false) => {}
                Value::Flag(true) => writer.flag(number),
                Value::Number(value) if matches!(field.kind, Type::U32 | Type::MaybeU32) => {
                    writer.u32(number, value as u32);
                }
                Value::Number(value) => writer.u64(number, value),
                Value::Signed(value) => writer.i64(number, value),
                Value::Text(value) => writer.string(number, value),
                Value::List(list) => {
                    let open = writer.begin(number);
                    for text in list.iter() {
                        writer.string(1, text);
                    }
                    writer.end_nest(open);
                }
            }
        }
        writer.end_nest(open);
    }
}

/// For people: ` name=value` for each field that is there.
impl fmt::Display for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (field, name) in self.table.fields.iter().zip(self.table.names.split(' ')) {
            match self.read(field) {
                Value::Absent => {}
                Value::Number(number) => field.show.number(number, name, f)?,
                Value::Signed(number) => write!(f, " {name}={number}")?,
                Value::Flag(flag) => field.show.flag(flag, name, f)?,
                Value::Text(value) => string(name, value, f)?,
                Value::List(list) => {
                    for value in list.iter() {
                        string(name, value, f)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn string(name: &str, value: &CStr, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, " {name}={}", text::shown(value))
}

/// Declares a noun: its struct and its table. `as` names a [`Show`] for a field whose number has a better name; behind `=` is
/// how it is read ([`Row`]), and from which property.
macro_rules! noun {
    ($(#[$doc:meta])* $kind:path => $name:ident $(<$life:lifetime>)? {
        $($(#[$field_doc:meta])* $number:literal $field:ident: $type:ty $(as $show:ident)? $(= $row:ident $key:literal)?,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name $(<$life>)? {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        // SAFETY: each field of the struct is there with its own offset and type, and all of it fits.
        #[allow(unsafe_code)]
        unsafe impl<'w $(: $life, $life)?> $crate::plan::noun::Noun<'w> for $name $(<$life>)? {
            const TABLE: &'static $crate::plan::noun::Table = &$crate::plan::noun::Table {
                kind: $kind,
                fields: &[$($crate::plan::noun::Field {
                    number: $number,
                    kind: <$type as $crate::plan::noun::Typed>::TYPE,
                    offset: core::mem::offset_of!(Self, $field) as u8,
                    show: $crate::plan::noun::show!($($show)?),
                    row: $crate::plan::noun::row!($($row)?),
                }),*],
                keys: concat!($($($key,)? " "),*),
                names: concat!($(stringify!($field), " "),*),
            };
        }

        const _: () = assert!(
            size_of::<$name>() <= 255 && size_of::<$name>() <= size_of::<$crate::plan::noun::Room>()
                && align_of::<$name>() <= align_of::<$crate::plan::noun::Room>()
        );
    };
}

macro_rules! show {
    () => {
        $crate::plan::shown::Show::Plain
    };
    ($show:ident) => {
        $crate::plan::shown::Show::$show
    };
}

macro_rules! row {
    () => {
        $crate::plan::noun::Row::No
    };
    ($row:ident) => {
        $crate::plan::noun::Row::$row
    };
}

pub(crate) use {noun, row, show};
