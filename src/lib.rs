#![doc = include_str!("README.md")]

pub mod audit;
pub mod clock;
pub mod config;
pub mod device;
pub mod dictionary;
pub mod document;
pub mod engine;
pub mod http;
pub mod limits;
pub mod mdm;
pub mod metrics;
pub mod policy;
pub mod problem;
pub mod radius;
pub mod sim;
pub mod udp;
