//! Support for the rings.
