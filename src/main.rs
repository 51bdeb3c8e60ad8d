//! The command `radmit`: arguments in, exit code out.

fn main() {}
