// The Go client over TLS: with its password, with a certificate beside it, and by its certificate
// alone.
//
// Prints `ok NAME` for each step that held and `done` at the end.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"os"

	amqp "github.com/rabbitmq/amqp091-go"
)

func config(certificate bool, trusts bool) *tls.Config {
	made := &tls.Config{ServerName: "localhost", RootCAs: x509.NewCertPool()}
	if trusts {
		pem, err := os.ReadFile(os.Getenv("CA"))
		if err != nil || !made.RootCAs.AppendCertsFromPEM(pem) {
			log.Fatal("no authority: ", err)
		}
	}
	if certificate {
		pair, err := tls.LoadX509KeyPair(os.Getenv("CERTIFICATE"), os.Getenv("KEY"))
		if err != nil {
			log.Fatal(err)
		}
		made.Certificates = []tls.Certificate{pair}
	}
	return made
}

func everydayWork(connection *amqp.Connection, err error) error {
	if err != nil {
		return err
	}
	defer connection.Close()
	channel, err := connection.Channel()
	if err != nil {
		return err
	}
	if err := channel.Confirm(false); err != nil {
		return err
	}
	queue, err := channel.QueueDeclare("go-tls", false, false, true, false, nil)
	if err != nil {
		return err
	}
	body := bytes.Repeat([]byte("x"), 300000)
	published := amqp.Publishing{Body: body}
	confirm, err := channel.PublishWithDeferredConfirmWithContext(context.Background(), "", queue.Name, false, false, published)
	if err != nil {
		return err
	}
	if !confirm.Wait() {
		return fmt.Errorf("it was not confirmed")
	}
	got, found, err := channel.Get(queue.Name, true)
	if err == nil && (!found || !bytes.Equal(got.Body, body)) {
		err = fmt.Errorf("not the message that was sent")
	}
	return err
}

func step(name string, err error) {
	if err != nil {
		log.Fatalf("FAILED %s: %v", name, err)
	}
	fmt.Println("ok", name)
}

func main() {
	url := fmt.Sprintf("amqps://guest:guest@127.0.0.1:%s/", os.Getenv("PORT"))
	step("tls", everydayWork(amqp.DialTLS(url, config(false, true))))
	step("mutual_tls", everydayWork(amqp.DialTLS(url, config(true, true))))
	step("external", everydayWork(amqp.DialTLS_ExternalAuth(url, config(true, true))))
	if everydayWork(amqp.DialTLS(url, config(false, false))) == nil {
		log.Fatal("it trusted an unknown authority")
	}
	step("unknown_authority", nil)
	fmt.Println("done")
}
