//! `coffer-kafka`, against the broker of embedded mode.

use coffer_kafka::{Bootstrap, EmbeddedBroker, KafkaTransport};
use coffer_testing::transport::{PARTITIONS, conforms};

#[tokio::test]
async fn the_transport_conforms_to_its_port() {
    let partitions = i32::try_from(PARTITIONS).expect("a small number");
    let broker = EmbeddedBroker::start(&[("conformance".to_owned(), partitions)]).expect("a broker");
    let bootstrap = Bootstrap::Servers(broker.bootstrap_servers().to_owned());
    let transport = KafkaTransport::connect(bootstrap, "conformance").expect("a transport");
    conforms(&transport, "conformance").await;
}
