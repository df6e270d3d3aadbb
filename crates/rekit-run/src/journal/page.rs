//! Makes a page for a browser of a Markdown text: one file, no scripts, nothing fetched, fit to be printed.

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

/// How the page looks, on a screen and on paper.
const STYLE: &str = "\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1b; background: #fff }
h1, h2 { line-height: 1.2 } h2 { margin-top: 2.2rem; border-top: 1px solid #ccc; padding-top: 1rem }
pre { background: #f4f4f2; border: 1px solid #ccc; border-radius: 4px; padding: .8rem; white-space: pre-wrap; overflow-wrap: anywhere }
code { font: .9em/1.4 ui-monospace, monospace }
table { border-collapse: collapse; width: 100% } th, td { border: 1px solid #ccc; padding: .35rem .5rem; text-align: left; vertical-align: top }
@media print { body { margin: 0; max-width: none; font-size: 10pt } h2 { break-after: avoid } pre, tr { break-inside: avoid } }
";

/// Returns the page of a text.
pub(super) fn page(title: &str, text: &str) -> String {
    // What a plan names comes from the machine: markup in it is shown, never obeyed, and no link leads anywhere.
    let events = Parser::new_ext(text, Options::ENABLE_TABLES).filter_map(|event| match event {
        Event::Html(markup) | Event::InlineHtml(markup) => Some(Event::Text(markup)),
        Event::Start(Tag::Link { .. } | Tag::Image { .. })
        | Event::End(TagEnd::Link | TagEnd::Image) => None,
        event => Some(event),
    });
    let mut body = String::new();
    html::push_html(&mut body, events);
    let mut shown = String::new();
    html::push_html(
        &mut shown,
        std::iter::once(Event::Text(CowStr::from(title))),
    );
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{shown}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r1_4_3_a_page_has_the_commands_as_they_are_and_runs_nothing() {
        let text = "# Way `back`\n\n```sh\nrm -f 'a&b' && echo \"<x>\"\n```\n\n| a | b |\n|---|---|\n| 1 | <script>alert(1)</script> |\n\n<img src=x onerror=y> [x](javascript:y) ![z](z.png)\n";
        let page = page("run <1>", text);
        assert!(page.contains("<title>run &lt;1&gt;</title>"), "{page}");
        assert!(page.contains("rm -f 'a&amp;b' &amp;&amp; echo"), "{page}");
        assert!(page.contains("<td>1</td>"), "{page}");
        for live in ["<script", "<img", "<a ", "href", "http:", "url("] {
            assert!(!page.contains(live), "{live} in\n{page}");
        }
    }
}
