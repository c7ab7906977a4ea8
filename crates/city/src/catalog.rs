//! What the city publishes and what watches it: topics, message types and the demo daggers.

/// One `.proto` file, with the path by which others import it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProtoSource {
    /// Import path, such as `city/booking/v1/booking_log.proto`.
    pub path: &'static str,
    /// The file's text.
    pub text: &'static str,
}

/// A topic that the city publishes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CityTopic {
    /// The topic's name.
    pub name: &'static str,
    /// The one message type of its records.
    pub message_full_name: &'static str,
    /// How many partitions the demo gives it.
    pub partitions: u32,
    /// One sentence for the catalogue.
    pub description: &'static str,
}

/// A dagger of the demo, as a YAML document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CityDagger {
    /// The dagger's name, as in the document.
    pub name: &'static str,
    /// The document.
    pub yaml: &'static str,
}

macro_rules! proto {
    ($path:literal) => {
        ProtoSource { path: $path, text: include_str!(concat!("../proto/", $path)) }
    };
}

/// The schemas of all topics. They import each other and `google/protobuf/timestamp.proto`.
pub fn proto_sources() -> Vec<ProtoSource> {
    vec![
        proto!("city/product/v1/product.proto"),
        proto!("city/vehicle/v1/vehicle.proto"),
        proto!("city/booking/v1/booking_log.proto"),
        proto!("city/driver/v1/driver_location_ping.proto"),
        proto!("city/allocation/v1/allocation_event.proto"),
        proto!("city/api/v1/api_log.proto"),
    ]
}

const BOOKING_LOG: &str = "city.booking.v1.BookingLog";

/// Place of the topic of product `p` (0 to 3) in [`topics`] is `p` itself; these are the others'.
pub(crate) const DRIVER_LOCATION_PING: usize = 4;
pub(crate) const ALLOCATION_LOG: usize = 5;
pub(crate) const API_LOG: usize = 6;

/// All topics of the city. [`crate::CityRecord::topic`] counts along this list.
pub fn topics() -> Vec<CityTopic> {
    let topic = |name, message_full_name, partitions, description| CityTopic {
        name,
        message_full_name,
        partitions,
        description,
    };
    vec![
        topic("ride-booking-log", BOOKING_LOG, 2, "Every step of every motorcycle ride, keyed by order number."),
        topic("car-booking-log", BOOKING_LOG, 2, "Every step of every car ride, keyed by order number."),
        topic("food-booking-log", BOOKING_LOG, 2, "Every step of every meal delivery, keyed by order number."),
        topic("send-booking-log", BOOKING_LOG, 2, "Every step of every parcel delivery, keyed by order number."),
        topic(
            "driver-location-ping",
            "city.driver.v1.DriverLocationPing",
            4,
            "Where every driver is and what they are doing, about once a minute, keyed by driver.",
        ),
        topic(
            "allocation-log",
            "city.allocation.v1.AllocationEvent",
            2,
            "Offers of bookings to drivers and the drivers' answers, keyed by order number.",
        ),
        topic("api-log", "city.api.v1.ApiLog", 2, "Answered requests of all services, keyed by service."),
    ]
}

/// The daggers that watch the city from its first second.
pub fn daggers() -> Vec<CityDagger> {
    vec![
        CityDagger { name: "driver_count_demo", yaml: include_str!("../daggers/driver_count_demo.yaml") },
        CityDagger { name: "booking_count_demo", yaml: include_str!("../daggers/booking_count_demo.yaml") },
        CityDagger { name: "surge", yaml: include_str!("../daggers/surge.yaml") },
        CityDagger { name: "api_health", yaml: include_str!("../daggers/api_health.yaml") },
        CityDagger { name: "allocation", yaml: include_str!("../daggers/allocation.yaml") },
    ]
}
