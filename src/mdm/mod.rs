//! Asking device management: Microsoft Intune, or a file that stands in for it.
//!
//! Owns calls, tokens, budgets, back-off and the background sync. Every answer goes into the device directory before
//! anybody is told; how old an answer may be is the directory's judgement, and what it means is policy's. It knows no
//! RADIUS and decides nothing.

pub mod cloud;
pub mod settings;
