// Leads every connection of a program to the proxy at the address in VIA, as a network would: what the program sends
// stays as it is, with the name and port that it believes to talk to. Loaded with `node --import`.
import net from "node:net";

const [host, port] = process.env.VIA.split(":");
const { connect } = net;
net.connect = (options, ...rest) => connect({ ...options, host, port }, ...rest);
