//! Traffic, memory and temperature of the last hour and the last day.

use std::collections::VecDeque;

use axum::extract::State;
use axum::http::Uri;
use axum::response::{Html, IntoResponse, Response};
use axum::{Extension, Json};
use maud::{Markup, html};

use super::frame::Frame;
use super::layout::heading;
use super::plot::{Series, plot};
use super::site::Shared;
use super::visitor::Visitor;
use crate::node::{History, POINTS, Point};
use crate::words::{rate, size};

/// `GET /statistics`
pub(super) async fn show(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
) -> Html<String> {
    Html(page(&site.node.history(), &Frame::of(&site, &visitor, &uri)).into_string())
}

/// `GET /statistics.json`
pub(super) async fn data(State(site): State<Shared>) -> Response {
    Json(&*site.node.history()).into_response()
}

/// The page, as a pure function of the rings.
pub(super) fn page(history: &History, frame: &Frame) -> Markup {
    frame.page(
        "Statistics",
        "/statistics",
        &html! {
            (heading("Statistics", &html! { (frame.watch("/statistics")) a href="/statistics.json" { "JSON" } a href="/metrics" { "Prometheus" } }))
            (ring("hour", "The last hour", "hour", &history.hour))
            (ring("day", "The last day", "day", &history.day))
        },
    )
}

fn ring(id: &str, title: &str, span: &str, points: &VecDeque<Point>) -> Markup {
    let values = |of: fn(&Point) -> Option<u64>| points.iter().map(of).collect::<Vec<_>>();
    let traffic = [
        Series { name: "Received", class: "one", values: values(|point| Some(point.down)) },
        Series { name: "Served", class: "two", values: values(|point| Some(point.up)) },
    ];
    let memory = [Series { name: "Resident", class: "one", values: values(|point| Some(point.memory)) }];
    let heat = values(|point| point.celsius.and_then(|degrees| u64::try_from(degrees).ok()));
    let has_heat = heat.iter().any(Option::is_some);
    let heat = [Series { name: "Hottest sensor", class: "two", values: heat }];
    html! {
        section aria-labelledby=(id) {
            h2 id=(id) { (title) }
            div class="plots" {
                (plot("Content", span, POINTS, &traffic, rate))
                (plot("Memory", span, POINTS, &memory, size))
                @if has_heat { (plot("Temperature", span, POINTS, &heat, |degrees| format!("{degrees} °C"))) }
            }
        }
    }
}
