//! What is counted about the process: its configuration, its certificates, its log.
//!
//! Owns the cells. The daemon and `audit` count.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    cell::Counter,
    list,
    page::{Page, Source},
};

/// The cells of the process.
#[derive(Debug, Default)]
pub struct ProcessCells {
    /// Reloads that were taken.
    pub reloads: Counter,
    /// Reloads that were refused.
    pub reloads_failed: Counter,
    /// Lines of the decision log that were written.
    pub log_lines: Counter,
    /// Writes of the decision log that failed.
    pub log_write_failed: Counter,
    texts: Mutex<Texts>,
}

#[derive(Clone, Debug, Default)]
struct Texts {
    config_hash: String,
    certificates: Vec<(&'static str, i64)>,
}

impl ProcessCells {
    /// Tells which configuration is running, and when its certificates expire: their use and the Unix time.
    pub fn set_configuration(&self, hash: &str, certificates: Vec<(&'static str, i64)>) {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        *texts = Texts { config_hash: hash.to_owned(), certificates };
    }
}

impl Source for Arc<ProcessCells> {
    fn tell(&self, page: &mut Page<'_>) -> fmt::Result {
        let texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        page.gauge(&list::TLS_CERT_EXPIRY, texts.certificates.iter().map(|(of, expiry)| ([*of], *expiry)))?;
        page.info(&list::CONFIG_INFO, [&texts.config_hash])?;
        let reloads = [(["ok"], self.reloads.value()), (["failed"], self.reloads_failed.value())];
        page.counter(&list::CONFIG_RELOAD, reloads)?;
        page.counter(&list::LOG_LINES, [([], self.log_lines.value())])?;
        page.counter(&list::LOG_WRITE_FAILED, [([], self.log_write_failed.value())])?;
        page.info(&list::BUILD_INFO, [env!("CARGO_PKG_VERSION")])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::page::Exposition;

    #[test]
    fn a_reload_shows_the_new_configuration() {
        let cells = Arc::<ProcessCells>::default();
        cells.set_configuration("aaaa", vec![("eap", 1_800_000_000)]);
        cells.reloads.increment();
        cells.set_configuration("bbbb", Vec::new());
        let text = Exposition::new(vec![Box::new(Arc::clone(&cells))]).text();
        assert!(text.contains(r#"radmit_config_info{hash="bbbb"} 1"#), "{text}");
        assert!(text.contains(r#"radmit_config_reload_total{result="ok"} 1"#), "{text}");
        assert!(!text.contains("aaaa") && !text.contains("use="), "{text}");
    }
}
