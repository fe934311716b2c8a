// SPDX-License-Identifier: GPL-2.0-or-later

// grpc opens a gRPC client for each of its ten requests a second, and closes it unless told to leak:
// usage: grpc leak|clean.  Prints "ready PID".
package main

import (
	"context"
	"fmt"
	"net"
	_ "net/http/pprof" // keeps the heap profile on
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

const (
	period       = 100 * time.Millisecond
	mostRequests = 2000
)

var garbage [16][]byte

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	go server.Serve(listener)
	return listener.Addr().String()
}

func ask(address string, leak bool) {
	client, err := grpc.Dial(address, grpc.WithInsecure()) // LEAK grpc
	must(err)
	if !leak {
		defer client.Close()
	}
	_, err = grpc_health_v1.NewHealthClient(client).Check(context.Background(),
		&grpc_health_v1.HealthCheckRequest{})
	must(err)
}

func main() {
	if len(os.Args) != 2 || os.Args[1] != "leak" && os.Args[1] != "clean" {
		must(fmt.Errorf("usage: grpc leak|clean"))
	}
	address := serve()
	fmt.Println("ready", os.Getpid())
	for request := 0; ; request++ {
		if request < mostRequests {
			ask(address, os.Args[1] == "leak")
		}
		for i := 0; i < 12; i++ {
			garbage[(request+i)%len(garbage)] = make([]byte, 64<<10)
		}
		time.Sleep(period)
	}
}
