//! One verb per file.
pub mod lex;
