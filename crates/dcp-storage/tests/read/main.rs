//! What the engine makes of locators: whatever a format may say about where bytes lie, the right ones arrive.

mod checks;
mod layouts;
mod neighbours;
mod random;
mod steps;
mod streams;
mod support;
mod together;
