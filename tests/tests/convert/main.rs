//! Converting: contents stay what they are, whatever the form.

mod fixtures;
mod identity;
mod reads;
mod resume;
mod same;
mod two;
