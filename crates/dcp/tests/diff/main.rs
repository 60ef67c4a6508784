//! Comparisons: every difference is found, with the exact figures, and nothing else.

mod damage;
mod elements;
mod large;
mod names;
mod support;
