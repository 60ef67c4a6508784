//! Nothing is torn: wherever a save fails, stops or meets others, a load gives one checkpoint, whole.

mod crash;
mod faults;
mod meetings;
mod ranks;
mod support;
mod turns;
mod zombies;
