//! Names and types of RADIUS attributes, and their way into and out of a packet.
//!
//! Owns dictionaries, typed content and lists of attributes as people write them. It knows nothing of packets' headers and
//! authenticators (`radius` does), hides and reveals no passwords, and opens no files.

mod access;
mod build;
mod builtin;
mod encode;
mod index;
mod list;
mod parse;
mod path;
mod statement;
mod text;
mod types;
mod value;

pub use access::{Values, Walk, values, walk};
pub use build::Builder;
pub use encode::ValueError;
pub use index::{Attribute, Counts, Dictionary, Vendor};
pub use list::{Pair, parse, print};
pub use parse::Include;
pub use path::{Path, Space, TooLong};
pub use types::{DataType, Encryption, Flags, VendorFormat};
pub use value::{Decoded, Shown, Value};
