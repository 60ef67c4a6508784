//! Fixed pieces of work whose instructions are counted, by `cargo xtask instructions`.
//!
//! Without arguments it lists its cases, with the name of one it does its work.
#![allow(clippy::print_stdout, reason = "it lists its cases")]

mod cases;
mod counted;
mod formats;
mod model;
mod planning;
mod written;

use std::error::Error;

use cases::CASES;

/// Whatever may go wrong on the way.
type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let Some(name) = std::env::args().nth(1) else {
        CASES.iter().for_each(|case| println!("{}", case.name));
        return Ok(());
    };
    let case = CASES.iter().find(|case| case.name == name).ok_or_else(|| format!("there is no case {name}"))?;
    case.run()
}
