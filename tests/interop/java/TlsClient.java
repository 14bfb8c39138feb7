// The Java client over TLS: with its password, with a certificate beside it, and by its certificate
// alone.
//
// Prints `ok NAME` for each step that held and `done` at the end.

import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.DefaultSaslConfig;
import com.rabbitmq.client.GetResponse;
import java.io.FileInputStream;
import java.io.InputStream;
import java.security.KeyStore;
import java.security.SecureRandom;
import java.security.cert.CertificateFactory;
import java.util.Arrays;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

public class TlsClient {
    private static final char[] PASSWORD = "changeit".toCharArray();

    private static KeyManager[] ourCertificate() throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (InputStream input = new FileInputStream(System.getenv("PKCS12"))) {
            store.load(input, PASSWORD);
        }
        KeyManagerFactory factory = KeyManagerFactory.getInstance("SunX509");
        factory.init(store, PASSWORD);
        return factory.getKeyManagers();
    }

    private static SSLContext context(KeyManager[] certificate, boolean trusts) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        if (trusts) {
            try (InputStream input = new FileInputStream(System.getenv("CA"))) {
                store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(input));
            }
        }
        TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
        factory.init(trusts ? store : null);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(certificate, factory.getTrustManagers(), new SecureRandom());
        return context;
    }

    private static ConnectionFactory factory(SSLContext context) {
        ConnectionFactory factory = new ConnectionFactory();
        factory.setHost("127.0.0.1");
        factory.setPort(Integer.parseInt(System.getenv("PORT")));
        factory.useSslProtocol(context);
        return factory;
    }

    private static void everydayWork(ConnectionFactory factory) throws Exception {
        try (Connection connection = factory.newConnection(); Channel channel = connection.createChannel()) {
            channel.confirmSelect();
            channel.queueDeclare("java-tls", false, true, true, null);
            byte[] body = new byte[300000];
            Arrays.fill(body, (byte) 'x');
            channel.basicPublish("", "java-tls", null, body);
            channel.waitForConfirmsOrDie(30000);
            GetResponse got = channel.basicGet("java-tls", true);
            if (!Arrays.equals(got.getBody(), body)) {
                throw new AssertionError("not the message that was sent");
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        everydayWork(factory(context(null, true)));
        System.out.println("ok tls");
        everydayWork(factory(context(ourCertificate(), true)));
        System.out.println("ok mutual_tls");
        ConnectionFactory external = factory(context(ourCertificate(), true));
        external.setSaslConfig(DefaultSaslConfig.EXTERNAL);
        everydayWork(external);
        System.out.println("ok external");
        try {
            everydayWork(factory(context(null, false)));
        } catch (java.io.IOException refused) {
            System.out.println("ok unknown_authority");
        }
        System.out.println("done");
    }
}
