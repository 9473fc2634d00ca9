"""Networks in an imitation of AWS (moto), for tests/aws.rs.

Usage: imitation.py PORT_FILE REDIS_PORT

Serves moto's API on a free port, and writes the port to PORT_FILE. The networks are in 127.0.0.0/8, because only there can a
test decide what the address of the cache does. `GET /build/NAME` builds the network and returns its facts
as JSON. The networks are built in this process, because each call of the program aws takes a second. `GET /documents/NAME` does
the same, and returns the facts with all documents. `POST /user` creates a user with the policy in the body, and returns the
access key. `/latest/` is the instance metadata of the network that was built last.
"""

import json
import os
import socket
import sys
import threading

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

REGION = "eu-central-1"
PORT = int(sys.argv[2])


class Network:
    """An app and a cache in one VPC or in two. A rule allows the connection, unless the caller changes something."""

    def __init__(self, endpoint, two_vpcs=False, same_subnet=False, rule="group", egress=True):
        self.ec2 = boto3.client("ec2", endpoint_url=endpoint, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x")
        self.vpc = self.ec2.create_vpc(CidrBlock="127.0.0.0/16")["Vpc"]["VpcId"]
        self.other = self.vpc
        if two_vpcs:
            self.other = self.ec2.create_vpc(CidrBlock="127.1.0.0/16")["Vpc"]["VpcId"]
        self.near_range = "127.0.1.0/24"
        self.far_range = "127.1.3.0/24" if two_vpcs else "127.0.3.0/24"
        self.near = self.subnet(self.vpc, self.near_range)
        self.far = self.near if same_subnet else self.subnet(self.other, self.far_range)
        self.app = self.group("app", self.vpc)
        self.cache = self.group("cache", self.other)
        self.address = "127.0.1.17" if same_subnet else self.far_range.replace("0/24", "17")
        # The interface is not attached, because moto would add the instance's groups to it.
        self.interface = self.eni(self.near, "127.0.1.10", self.app, "app")
        self.eni(self.far, self.address, self.cache, "ElastiCache shop-001")
        if rule == "group":
            self.allow(self.cache, UserIdGroupPairs=[{"GroupId": self.app}])
        elif rule:
            self.allow(self.cache, **rule)
        if not egress:
            every = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
            self.ec2.revoke_security_group_egress(GroupId=self.app, IpPermissions=[every])

    def subnet(self, vpc, block):
        return self.ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=REGION + "a")["Subnet"]["SubnetId"]

    def group(self, name, vpc):
        return self.ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]

    def eni(self, subnet, address, group, description):
        made = self.ec2.create_network_interface(SubnetId=subnet, PrivateIpAddress=address, Groups=[group], Description=description)
        return made["NetworkInterface"]["NetworkInterfaceId"]

    def allow(self, group, protocol="tcp", ports=(PORT, PORT), **peer):
        rule = {"IpProtocol": protocol, "FromPort": ports[0], "ToPort": ports[1], **peer}
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])

    def acl(self, subnet, vpc, *entries):
        """Gives the subnet a network ACL. An entry is a number, egress, an action, and the first and last port (None: all)."""
        new = self.ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
        for number, egress, action, ports in entries:
            more = {} if ports is None else {"PortRange": {"From": ports[0], "To": ports[1]}}
            self.ec2.create_network_acl_entry(
                NetworkAclId=new, RuleNumber=number, Egress=egress, RuleAction=action, CidrBlock="0.0.0.0/0",
                Protocol="-1" if ports is None else "6", **more)
        for acl in self.ec2.describe_network_acls()["NetworkAcls"]:
            for association in acl["Associations"]:
                if association["SubnetId"] == subnet:
                    self.ec2.replace_network_acl_association(
                        AssociationId=association["NetworkAclAssociationId"], NetworkAclId=new)

    def peer(self, accept=True, routes=True):
        made = self.ec2.create_vpc_peering_connection(VpcId=self.vpc, PeerVpcId=self.other)
        peering = made["VpcPeeringConnection"]["VpcPeeringConnectionId"]
        if accept:
            self.ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=peering)
        if routes:
            self.route(self.vpc, "127.1.0.0/16", VpcPeeringConnectionId=peering)
            self.route(self.other, "127.0.0.0/16", VpcPeeringConnectionId=peering)
        return self

    def route(self, vpc, block, **target):
        tables = self.ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
        self.ec2.create_route(RouteTableId=tables[0]["RouteTableId"], DestinationCidrBlock=block, **target)

    def facts(self):
        return {
            "region": REGION, "port": PORT, "address": self.address, "from": "127.0.1.10", "ephemeral": [32768, 60999],
            "source": {
                "interface": self.interface, "addresses": ["127.0.1.10"], "vpc": self.vpc, "subnet": self.near,
                "groups": [self.app], "owner": "123456789012", "vpc_cidrs": ["127.0.0.0/16"]}}


def with_acl(network, end, *entries):
    subnet, vpc = (network.near, network.vpc) if end == "near" else (network.far, network.other)
    network.acl(subnet, vpc, *entries)
    return network


def with_prefix_list(endpoint):
    network = Network(endpoint, rule=None)
    made = network.ec2.create_managed_prefix_list(
        PrefixListName="app", MaxEntries=5, AddressFamily="IPv4", Entries=[{"Cidr": "127.0.1.0/24"}])
    network.allow(network.cache, PrefixListIds=[{"PrefixListId": made["PrefixList"]["PrefixListId"]}])
    return network


def cidr(block):
    return {"IpRanges": [{"CidrIp": block}]}


ALL_IN, ALL_OUT = (100, False, "allow", None), (100, True, "allow", None)

NETWORKS = {
    "allowed": lambda at: Network(at),
    "same-subnet": lambda at: Network(at, same_subnet=True),
    "missing-rule": lambda at: Network(at, rule=None),
    "other-port": lambda at: Network(at, rule={"ports": (PORT + 1, PORT + 1), **cidr("127.0.0.0/16")}),
    "other-range": lambda at: Network(at, rule=cidr("192.168.0.0/16")),
    "udp": lambda at: Network(at, rule={"protocol": "udp", **cidr("127.0.0.0/16")}),
    "port-range": lambda at: Network(at, rule={"ports": (PORT - 100, PORT + 100), **cidr("127.0.1.0/24")}),
    "prefix-list": with_prefix_list,
    "no-egress": lambda at: Network(at, egress=False),
    "acl-out": lambda at: with_acl(Network(at), "near", ALL_IN, (100, True, "allow", (443, 443))),
    "acl-in": lambda at: with_acl(Network(at), "far", (90, False, "deny", (PORT, PORT)), ALL_IN, ALL_OUT),
    "acl-replies": lambda at: with_acl(Network(at), "far", ALL_IN, (100, True, "allow", (443, 443))),
    "acl-partly": lambda at: with_acl(Network(at), "near", ALL_OUT, (100, False, "allow", (49152, 65535))),
    "other-vpc": lambda at: Network(at, two_vpcs=True, rule=cidr("127.0.0.0/16")),
    "peering": lambda at: Network(at, two_vpcs=True, rule=cidr("127.0.0.0/16")).peer(),
    "peering-no-routes": lambda at: Network(at, two_vpcs=True, rule=cidr("127.0.0.0/16")).peer(routes=False),
    "peering-pending": lambda at: Network(at, two_vpcs=True, rule=cidr("127.0.0.0/16")).peer(accept=False, routes=False),
    "rule-and-acl": lambda at: with_acl(Network(at, rule=None), "far", ALL_OUT),
}


def documents(network):
    """Returns the facts and all documents, one after another."""
    ec2 = network.ec2
    answers = [
        ec2.describe_network_interfaces(), ec2.describe_security_groups(), ec2.describe_network_acls(), ec2.describe_subnets(),
        ec2.describe_route_tables(), ec2.describe_vpc_peering_connections(), ec2.describe_transit_gateway_vpc_attachments()]
    for item in ec2.describe_managed_prefix_lists()["PrefixLists"]:
        entries = ec2.get_managed_prefix_list_entries(PrefixListId=item["PrefixListId"])["Entries"]
        answers.append({"PrefixListEntries": [{"PrefixListId": item["PrefixListId"], "Entries": entries}]})
    for answer in answers:
        answer.pop("ResponseMetadata", None)
    return "\n".join(json.dumps(item, indent=1, default=str) for item in [network.facts(), *answers])


def user(endpoint, policy):
    """Creates a user with this policy, and returns its access key."""
    iam = boto3.client("iam", endpoint_url=endpoint, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x")
    name = f"user{len(iam.list_users()['Users'])}"
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="ping", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


def metadata(facts, method, path):
    """Responds as the instance metadata service (version 2) does to the requests that ping sends."""
    mac = "02:00:00:00:00:01"
    own = facts["source"]
    values = {
        "mac": mac, "placement/region": facts["region"], "network/interfaces/macs/": mac + "/",
        "interface-id": own["interface"], "local-ipv4s": own["addresses"][0], "vpc-id": own["vpc"], "subnet-id": own["subnet"],
        "security-group-ids": own["groups"][0], "owner-id": own["owner"], "vpc-ipv4-cidr-blocks": own["vpc_cidrs"][0]}
    if method == "PUT":
        return "TOKEN"
    path = path.removeprefix("/latest/meta-data/").removeprefix(f"network/interfaces/macs/{mac}/")
    return values.get(path)


def main():
    moto = DomainDispatcherApplication(create_backend_app)
    endpoint = []

    last = []

    def application(environ, start):
        path = environ["PATH_INFO"]
        if path.startswith("/latest/"):
            text = metadata(last[-1], environ["REQUEST_METHOD"], path)
        elif path.startswith("/build/"):
            last.append(NETWORKS[path.removeprefix("/build/")](endpoint[0]).facts())
            text = json.dumps(last[-1])
        elif path == "/user":
            policy = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()
            text = "\n".join(user(endpoint[0], policy))
        elif path.startswith("/documents/"):
            text = documents(NETWORKS[path.removeprefix("/documents/")](endpoint[0]))
        else:
            return moto(environ, start)
        body = (text or "").encode()
        start("200 OK" if text else "404 Not Found", [("Content-Length", str(len(body)))])
        return [body]

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = make_server("127.0.0.1", port, application, threaded=True)
    endpoint.append(f"http://127.0.0.1:{port}")
    threading.Thread(target=server.serve_forever).start()
    with open(sys.argv[1] + ".new", "w") as file:
        file.write(str(port))
    os.rename(sys.argv[1] + ".new", sys.argv[1])


if __name__ == "__main__":
    main()
