//! The metrics page: numbers to OpenMetrics text.
//!
//! Owns how families and their series are written. It counts nothing, and serving the page is the work of `http`.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, LabelSetEncoder, MetricEncoder, NoLabelSet, text},
    metrics::MetricType,
    registry::{Registry, Unit},
};

use super::{
    cell::{BUCKETS_US, Histogram},
    list::{Family, Kind},
};

/// The media type of the page.
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Something that has numbers for the page. Closures that take a [`Page`] are sources too.
///
/// A family must be told by one source only, and in one call: its series stand together on the page.
pub trait Source: Send + Sync + 'static {
    /// Writes its families.
    ///
    /// # Errors
    /// Only those of the page.
    fn tell(&self, page: &mut Page<'_>) -> fmt::Result;
}

impl<F: Fn(&mut Page<'_>) -> fmt::Result + Send + Sync + 'static> Source for F {
    fn tell(&self, page: &mut Page<'_>) -> fmt::Result {
        self(page)
    }
}

/// All sources of the process.
#[derive(Debug)]
pub struct Exposition(Registry);

impl Exposition {
    /// The page that these sources write, in their order.
    #[must_use]
    pub fn new(sources: Vec<Box<dyn Source>>) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Sources(sources)));
        Self(registry)
    }

    /// The page with the numbers of this moment.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a text can't fail, and sources have no errors of their own.
        let written = text::encode(&mut text, &self.0);
        debug_assert!(written.is_ok(), "a source made up an error");
        text
    }
}

struct Sources(Vec<Box<dyn Source>>);

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sources", self.0.len())
    }
}

impl Collector for Sources {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut page = Page { encoder };
        self.0.iter().try_for_each(|source| source.tell(&mut page))
    }
}

/// The page while it is written.
#[derive(Debug)]
pub struct Page<'e> {
    encoder: DescriptorEncoder<'e>,
}

impl Page<'_> {
    /// Writes a counter. `series`: the values of the labels, in the order of the family's, and the number.
    ///
    /// # Errors
    /// Only those of the page.
    pub fn counter<'s, const N: usize>(
        &mut self,
        family: &Family,
        series: impl IntoIterator<Item = ([&'s str; N], u64)>,
    ) -> fmt::Result {
        self.family(family, series, |mut metric, number| metric.encode_counter::<NoLabelSet, u64, f64>(&number, None))
    }

    /// Writes a gauge.
    ///
    /// # Errors
    /// Only those of the page.
    pub fn gauge<'s, const N: usize>(
        &mut self,
        family: &Family,
        series: impl IntoIterator<Item = ([&'s str; N], i64)>,
    ) -> fmt::Result {
        self.family(family, series, |mut metric, number| metric.encode_gauge(&number))
    }

    /// Writes a text: the values of the labels are all there is.
    ///
    /// # Errors
    /// Only those of the page.
    pub fn info<const N: usize>(&mut self, family: &Family, values: [&str; N]) -> fmt::Result {
        debug_assert_eq!(family.labels.len(), N, "{}", family.name);
        let labels = Labels { names: family.labels, values };
        self.descriptor(family)?.encode_info(&labels)
    }

    /// Writes a histogram. The cells of one series are added up.
    ///
    /// # Errors
    /// Only those of the page.
    pub fn histogram<'s, const N: usize>(
        &mut self,
        family: &Family,
        series: impl IntoIterator<Item = ([&'s str; N], Vec<&'s Histogram>)>,
    ) -> fmt::Result {
        self.family(family, series, |mut metric, cells| {
            let (mut buckets, mut count, mut sum_us) = ([0; BUCKETS_US.len()], 0, 0);
            for cell in cells {
                let (more, more_count, more_us) = cell.values();
                buckets.iter_mut().zip(more).for_each(|(bucket, more)| *bucket += more);
                count += more_count;
                sum_us += more_us;
            }
            let in_buckets: u64 = buckets.iter().sum();
            // The cells are read one after the other while shards count, so their sum may be ahead of the count.
            let count = count.max(in_buckets);
            let mut bounds: Vec<(f64, u64)> = BUCKETS_US.iter().map(|bound| seconds(*bound)).zip(buckets).collect();
            bounds.push((f64::INFINITY, count - in_buckets));
            metric.encode_histogram::<NoLabelSet>(seconds(sum_us), count, &bounds, None)
        })
    }

    fn family<'s, const N: usize, V>(
        &mut self,
        family: &Family,
        series: impl IntoIterator<Item = ([&'s str; N], V)>,
        write: impl Fn(MetricEncoder<'_>, V) -> fmt::Result,
    ) -> fmt::Result {
        debug_assert_eq!(family.labels.len(), N, "{}", family.name);
        let mut metric = self.descriptor(family)?;
        for (values, value) in series {
            let labels = Labels { names: family.labels, values };
            if N == 0 {
                return write(metric, value);
            }
            write(metric.encode_family(&labels)?, value)?;
        }
        Ok(())
    }

    fn descriptor(&mut self, family: &Family) -> Result<MetricEncoder<'_>, fmt::Error> {
        let (kind, suffix) = match family.kind {
            Kind::Counter => (MetricType::Counter, "_total"),
            Kind::Gauge => (MetricType::Gauge, ""),
            Kind::Histogram => (MetricType::Histogram, ""),
            Kind::Info => (MetricType::Info, "_info"),
        };
        // The encoder adds suffixes and units by itself.
        let name = family.name.strip_suffix(suffix).unwrap_or(family.name);
        match name.strip_suffix("_seconds") {
            Some(name) => self.encoder.encode_descriptor(name, family.help, Some(&Unit::Seconds), kind),
            None => self.encoder.encode_descriptor(name, family.help, None, kind),
        }
    }
}

struct Labels<'v, const N: usize> {
    names: &'static [&'static str],
    values: [&'v str; N],
}

impl<const N: usize> EncodeLabelSet for Labels<'_, N> {
    fn encode(&self, encoder: &mut LabelSetEncoder) -> fmt::Result {
        use prometheus_client::encoding::EncodeLabel;
        self.names.iter().zip(&self.values).try_for_each(|label| (*label.0, *label.1).encode(encoder.encode_label()))
    }
}

#[expect(clippy::cast_precision_loss, reason = "2^53 microseconds are 285 years")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::list;

    fn page(source: impl Source) -> String {
        Exposition::new(vec![Box::new(source)]).text()
    }

    #[test]
    fn names_on_the_page_are_those_of_the_list() {
        let text = page(|page: &mut Page<'_>| {
            page.counter(&list::REQUESTS, [(["Access-Request", "a"], 7)])?;
            page.gauge(&list::INFLIGHT, [([], -1)])?;
            page.gauge(&list::MDM_LAST_SYNC, [(["corp"], 1_700_000_000)])?;
            page.info(&list::CONFIG_INFO, ["0123456789abcdef"])
        });
        insta::assert_snapshot!(text, @r#"
        # HELP radmit_requests Requests that were taken, by the name of their code.
        # TYPE radmit_requests counter
        radmit_requests_total{code="Access-Request",client="a"} 7
        # HELP radmit_inflight Requests that wait for device management or for the delay of a reject.
        # TYPE radmit_inflight gauge
        radmit_inflight -1
        # HELP radmit_mdm_last_sync_timestamp_seconds Unix time of the last complete background sync; 0 if there was none.
        # TYPE radmit_mdm_last_sync_timestamp_seconds gauge
        # UNIT radmit_mdm_last_sync_timestamp_seconds seconds
        radmit_mdm_last_sync_timestamp_seconds{server="corp"} 1700000000
        # HELP radmit_config Which configuration is running.
        # TYPE radmit_config info
        radmit_config_info{hash="0123456789abcdef"} 1
        # EOF
        "#);
    }

    #[test]
    fn a_histogram_adds_up_its_cells_and_ends_with_everything() {
        let (one, other) = (Histogram::default(), Histogram::default());
        one.observe(Duration::from_micros(10));
        other.observe(Duration::from_millis(3));
        other.observe(Duration::from_secs(60));
        let text =
            page(move |page: &mut Page<'_>| page.histogram(&list::DECISION_SECONDS, [(["mab"], vec![&one, &other])]));
        insta::assert_snapshot!(text, @r#"
        # HELP radmit_decision_seconds Time from the arrival of a request to its decision.
        # TYPE radmit_decision_seconds histogram
        # UNIT radmit_decision_seconds seconds
        radmit_decision_seconds_sum{method="mab"} 60.00301
        radmit_decision_seconds_count{method="mab"} 3
        radmit_decision_seconds_bucket{le="0.00001",method="mab"} 1
        radmit_decision_seconds_bucket{le="0.000025",method="mab"} 1
        radmit_decision_seconds_bucket{le="0.00005",method="mab"} 1
        radmit_decision_seconds_bucket{le="0.0001",method="mab"} 1
        radmit_decision_seconds_bucket{le="0.00025",method="mab"} 1
        radmit_decision_seconds_bucket{le="0.0005",method="mab"} 1
        radmit_decision_seconds_bucket{le="0.001",method="mab"} 1
        radmit_decision_seconds_bucket{le="0.0025",method="mab"} 1
        radmit_decision_seconds_bucket{le="0.005",method="mab"} 2
        radmit_decision_seconds_bucket{le="0.01",method="mab"} 2
        radmit_decision_seconds_bucket{le="0.025",method="mab"} 2
        radmit_decision_seconds_bucket{le="0.05",method="mab"} 2
        radmit_decision_seconds_bucket{le="0.1",method="mab"} 2
        radmit_decision_seconds_bucket{le="0.25",method="mab"} 2
        radmit_decision_seconds_bucket{le="0.5",method="mab"} 2
        radmit_decision_seconds_bucket{le="1.0",method="mab"} 2
        radmit_decision_seconds_bucket{le="2.5",method="mab"} 2
        radmit_decision_seconds_bucket{le="10.0",method="mab"} 2
        radmit_decision_seconds_bucket{le="+Inf",method="mab"} 3
        # EOF
        "#);
    }

    #[test]
    fn a_name_with_quotes_does_not_break_the_page() {
        let text = page(|page: &mut Page<'_>| page.counter(&list::UNSIGNED, [(["a\"b\\c\nd"], 1)]));
        assert!(text.contains(r#"{client="a\"b\\c\nd"} 1"#), "{text}");
    }
}
