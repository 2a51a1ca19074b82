//! Log lines for people: time, level, spans, target, message. A span is written as `source{hall}`, and left out where the
//! event has a field of that name.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// The event format of the module's text.
pub(super) struct Text;

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let ansi = writer.has_ansi_escapes();
        let (dim, plain) = if ansi { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
        let colour = match *metadata.level() {
            _ if !ansi => "",
            tracing::Level::ERROR => "\x1b[31m",
            tracing::Level::WARN => "\x1b[33m",
            tracing::Level::INFO => "\x1b[32m",
            _ => "\x1b[34m",
        };
        writer.write_str(dim)?;
        SystemTime.format_time(&mut writer)?;
        write!(writer, "{plain} {colour}{:>5}{plain} ", metadata.level())?;
        for span in context.event_scope().into_iter().flat_map(tracing_subscriber::registry::Scope::from_root)
        {
            if metadata.fields().field(span.name()).is_some() {
                continue;
            }
            write!(writer, "{}", span.name())?;
            let extensions = span.extensions();
            if let Some(fields) = extensions.get::<FormattedFields<N>>().filter(|it| !it.fields.is_empty()) {
                write!(writer, "{{{}}}", fields.fields.strip_prefix("name=").unwrap_or(&fields.fields))?;
            }
            writer.write_str(": ")?;
        }
        write!(writer, "{dim}{}:{plain} ", metadata.target())?;
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("unpoisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Paper {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn a_line_names_its_hall_once() {
        let paper = Paper::default();
        let lines = tracing_subscriber::fmt().with_writer(paper.clone()).with_ansi(false).event_format(Text);
        tracing::subscriber::with_default(lines.finish(), || {
            let _hall = tracing::info_span!("source", name = %"hall").entered();
            tracing::warn!(k = 7, "lost");
            tracing::info!(source = "hall", "live");
        });
        let text = String::from_utf8(paper.0.lock().expect("unpoisoned").clone()).expect("UTF-8");
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines[0].ends_with("  WARN source{hall}: amphi_runtime::log::format::tests: lost k=7"),
            "{text}"
        );
        assert!(
            lines[1].ends_with("  INFO amphi_runtime::log::format::tests: live source=\"hall\""),
            "{text}"
        );
    }
}
