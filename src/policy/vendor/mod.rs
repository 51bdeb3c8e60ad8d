//! How clients of each vendor want things written: tables of data, not code.
//!
//! Owns the format of `policies/vendor/*.toml` and the tables that are compiled in. What a profile makes of them is the
//! matter of `reply_plan`; a new vendor is a new file and a line in `builtin`.

mod builtin;
mod check;
mod format;
mod read;
mod read_syntax;
mod read_template;
mod syntax;
mod table;

pub use builtin::Vendors;
pub use format::NumberFormat;
pub use syntax::{AddressSyntax, Inexpressible, Line, PortSyntax, RuleSyntax};
pub use table::{
    AclForms, AttributeTemplate, Coa, CoaCommand, Conflict, DownloadForm, DownloadTemplates, Form, InlineForm,
    NameForm, RedirectForm, Tag, Vendor, VlanForms, Voice,
};
