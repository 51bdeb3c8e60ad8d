//! The pages for monitoring: `/metrics`, `/healthz`, `/readyz`.
//!
//! Owns the server of these pages and its bounds. It only reads: no page changes anything, and none stands in the way of
//! a packet. What is counted belongs to `metrics`.
//!
//! | page | answer |
//! | --- | --- |
//! | `/metrics` | all metrics as OpenMetrics text |
//! | `/healthz` | 200 as long as the process answers; 503 with the reason if a part of it has ended by a bug |
//! | `/readyz` | 200 when requests are answered; 503 with the reason while starting and stopping |

mod connection;
mod page;
pub mod readiness;
pub mod server;
pub mod settings;
