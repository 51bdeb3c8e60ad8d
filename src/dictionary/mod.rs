//! Names and types of RADIUS attributes, and their way into and out of a packet.
//!
//! Owns dictionaries, typed content and lists of attributes as people write them. It knows nothing of packets' headers and
//! authenticators (`radius` does), hides and reveals no passwords, and opens no files.
//!
//! | file | what |
//! | --- | --- |
//! | `index` | the finished dictionary: attributes by name, number and place |
//! | `privacy` | which attributes never stand in a log |
//! | `path` | the place of an attribute in a packet, small enough to be carried by compiled rules |
//! | `types` | data types, flags, vendor formats |
//! | `access` | contents of a packet by place, and the walk over all of them |
//! | `value`, `encode`, `text` | content from octets to text and back |
//! | [`list`] | lists in the syntax of `radclient` |
//! | `builtin` | the shipped dictionaries of `dictionaries/` |
//! | `build` | definitions being collected; which one holds |
//! | `parse`, `line`, `statement`, `scope`, `definition` | the files: includes, lines, keywords, blocks, ATTRIBUTE |
//!
//! ```
//! use radmit::{
//!     dictionary::{self, Builder, Dictionary, Value},
//!     document::Source,
//!     problem::Problems,
//!     radius::attribute::Attributes,
//! };
//!
//! // Shipped names, and one of an operator's own.
//! let mut problems = Problems::new();
//! let mut builder = Builder::with_builtin();
//! let text = "VENDOR Example 32473\nBEGIN-VENDOR Example\nATTRIBUTE Example-Role 1 string\nEND-VENDOR Example\n";
//! builder.load(Source::new("example.dict", text), &mut |_file, _from| None, &mut problems);
//! let dictionary = builder.finish(&mut problems);
//! assert!(problems.is_empty());
//!
//! // Names are looked up once. From then on the attribute is all one needs
//! let vlan = dictionary.attribute("tunnel-private-group-id").expect("it is shipped").clone();
//! let role = dictionary.attribute("Example-Role").expect("it was just defined").clone();
//!
//! // to write a value into a packet
//! let mut octets = Vec::new();
//! for (attribute, text) in [(&vlan, "20"), (&role, "printer")] {
//!     let content = attribute.encode(None, text).map_err(|error| error.message(attribute, text))?;
//!     attribute.path().write(&content, false, &mut octets)?;
//! }
//!
//! // and to find it there.
//! let attributes = Attributes::new(&octets, 20);
//! let found: Vec<_> = dictionary::values(attributes, &role.path()).map(|content| role.decode(content).value).collect();
//! assert_eq!(found, [Value::Text("printer")]);
//! assert_eq!(
//!     dictionary::list::print(&dictionary, attributes),
//!     "Tunnel-Private-Group-Id = \"20\"\nExample-Role = \"printer\"\n"
//! );
//! // Without the operator's file the same octets have no name.
//! assert!(dictionary::list::print(Dictionary::builtin(), attributes).contains("Attr-26.32473.1 = 0x7072696e746572"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(
    clippy::indexing_slicing,
    reason = "octets of strangers and files of operators are read here; nothing may panic"
)]

mod access;
mod build;
mod builtin;
mod definition;
mod encode;
mod index;
mod line;
pub mod list;
mod parse;
mod path;
mod privacy;
mod scope;
mod statement;
mod text;
mod types;
mod value;

pub use access::{Values, Walk, values, values_in, walk};
pub use build::Builder;
pub use encode::ValueError;
pub use index::{Attribute, Counts, Dictionary, Vendor};
pub use parse::Include;
pub use path::{Path, Space};
pub use privacy::is_private_number;
pub use types::{DataType, Encryption, Flags};
pub use value::{Decoded, Shown, Value};
