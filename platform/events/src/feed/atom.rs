//! A page of the feed as Atom (RFC 4287).

use std::{io, sync::Arc};

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};

use crate::CloudEvent;

/// What stands at the head of a feed document.
pub(super) struct Head<'a> {
    pub service: &'a str,
    pub epoch: &'a str,
    pub this: &'a str,
    pub next: &'a str,
    /// Where the feed has no entry yet.
    pub now: &'a str,
}

/// Renders a feed document.
///
/// An entry's content is the CloudEvent as text: RFC 4287 (4.1.3.3) would have any other JSON media
/// type in Base64, which neither people nor `grep` can read.
pub(super) fn render(head: &Head<'_>, events: &[Arc<CloudEvent>]) -> io::Result<Vec<u8>> {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("utf-8"), None)))?;
    xml.create_element("feed")
        .with_attribute(("xmlns", "http://www.w3.org/2005/Atom"))
        .write_inner_content(|xml| {
            text(xml, "id", &format!("urn:backline:feed:{}:{}", head.service, head.epoch))?;
            text(xml, "title", &format!("Events of {}", head.service))?;
            text(xml, "updated", events.last().map_or(head.now, |event| &event.time))?;
            xml.create_element("author")
                .write_inner_content(|xml| text(xml, "name", head.service))?;
            link(xml, "self", head.this)?;
            link(xml, "next", head.next)?;
            for event in events {
                entry(xml, event)?;
            }
            Ok(())
        })?;
    Ok(xml.into_inner())
}

fn entry(xml: &mut Writer<Vec<u8>>, event: &CloudEvent) -> io::Result<()> {
    xml.create_element("entry").write_inner_content(|xml| {
        text(xml, "id", &format!("urn:uuid:{}", event.id))?;
        text(xml, "title", &event.kind)?;
        text(xml, "updated", &event.time)?;
        xml.create_element("category").with_attribute(("term", &*event.kind)).write_empty()?;
        link(xml, "related", &event.subject)?;
        // Two characters that JSON takes as they are have no place in XML 1.0 (2.2).
        let json = serde_json::to_string(event)?;
        let json = json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff");
        xml.create_element("content")
            .with_attribute(("type", "text"))
            .write_text_content(BytesText::new(&json))?;
        Ok(())
    })?;
    Ok(())
}

fn text(xml: &mut Writer<Vec<u8>>, name: &str, value: &str) -> io::Result<()> {
    xml.create_element(name).write_text_content(BytesText::new(value))?;
    Ok(())
}

fn link(xml: &mut Writer<Vec<u8>>, rel: &str, href: &str) -> io::Result<()> {
    xml.create_element("link").with_attributes([("rel", rel), ("href", href)]).write_empty()?;
    Ok(())
}
